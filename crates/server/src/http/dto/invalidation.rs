//! What an invalidation takes and answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::invalidation::Target;
use crate::problem::Problem;

/// What is to be dropped: exactly one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvalidateBody {
    /// All that is kept of this dataset.
    #[schema(example = "sector_analysis")]
    pub dataset: Option<String>,
    /// All that is kept of datasets with this tag.
    pub tag: Option<String>,
    /// All datasets whose names begin so; with a slash, the keys of one dataset that begin so.
    pub prefix: Option<String>,
    /// One entry; without its version, all versions of it.
    pub key: Option<String>,
}

/// What a body that invalidates looks like, for whoever sent another one.
const INVALIDATE_HINT: &str =
    r#"send exactly one of {"dataset": "sales"}, {"tag": "daily"}, {"prefix": "sales/json"}, {"key": "sales/table"}"#;

impl InvalidateBody {
    /// Reads the members of a JSON object. (Serde alone would take an array for it as well.)
    pub fn read(members: serde_json::Map<String, serde_json::Value>) -> Result<Self, Problem> {
        serde_json::from_value(serde_json::Value::Object(members))
            .map_err(|error| Problem::bad_body(format!("the body cannot be read: {error}")).hint(INVALIDATE_HINT))
    }

    /// The one thing that it names.
    pub fn target(self) -> Result<Target, Problem> {
        let given = [
            self.dataset.map(Target::Dataset),
            self.tag.map(Target::Tag),
            self.prefix.map(Target::Prefix),
            self.key.map(Target::Key),
        ];
        let mut given = given.into_iter().flatten();
        let wrong = |detail: &str| Err(Problem::bad_body(detail).hint(INVALIDATE_HINT));
        match (given.next(), given.next()) {
            (None, _) => wrong("the body names nothing"),
            (Some(_), Some(_)) => wrong("the body names more than one thing"),
            // Nothing may be meant by it, or everything.
            (Some(target), None) if target.parts().1 == Some("") => wrong("what the body names is empty"),
            (Some(target), None) => Ok(target),
        }
    }
}

/// What an invalidation covered.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvalidatedDto {
    /// `all`, `dataset`, `tag`, `prefix` or `key`.
    pub scope: String,
    /// What was named; null for all.
    pub target: Option<String>,
    /// Number of the invalidation: what began to load before it is not served any more. Numbers grow, across restarts
    /// too.
    pub stamp: u64,
    /// Whether it outlives the process.
    pub durable: bool,
    /// Datasets that were touched and are served now.
    pub datasets: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: serde_json::Value) -> Result<Target, Problem> {
        let serde_json::Value::Object(members) = body else { panic!("an object") };
        InvalidateBody::read(members)?.target()
    }

    #[test]
    fn a_body_names_exactly_one_thing() {
        assert_eq!(read(json!({ "dataset": "a" })).unwrap(), Target::Dataset("a".into()));
        assert_eq!(read(json!({ "tag": "a", "key": null })).unwrap(), Target::Tag("a".into()));
        assert_eq!(read(json!({ "prefix": "a/j" })).unwrap(), Target::Prefix("a/j".into()));
        assert_eq!(read(json!({ "key": "a/table" })).unwrap(), Target::Key("a/table".into()));
        for bad in [json!({}), json!({ "tag": "a", "key": "b" }), json!({ "prefix": "" }), json!({ "tags": "a" })] {
            let problem = read(bad.clone()).unwrap_err();
            assert!(problem.to_string().starts_with("bad_body"), "{bad}: {problem}");
        }
    }
}

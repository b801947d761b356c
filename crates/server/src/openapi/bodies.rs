//! What derived schemas cannot say of bodies that are read by hand: that they have no other members, how times and sizes are
//! written, and what excludes what.

use pipeline::format::Format;
use serde_json::{Value, json};

/// Bodies without members but those that are described.
const CLOSED: [&str; 6] = ["LoadBody", "LoadRequestBody", "TimerBody", "MeasuredBody", "SettingsPatch", "PolicyPatch"];
/// Times above zero.
const TIME: &str = "^[1-9][0-9]{0,5}(ms|s|m|h)$";
/// Times that may be zero.
const TIME_OR_ZERO: &str = "^(0|[1-9][0-9]{0,5})(ms|s|m|h)$";
const SIZE: &str = "^[1-9][0-9]{0,5} ?(B|KiB|MiB|GiB)$";
const TAG: &str = "^[a-z0-9_-]{1,64}$";
/// Budgets that any cache can be given.
const BUDGET: &str = "^[1-9][0-9]{1,3} ?MiB$";

/// Completes them.
pub(super) fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for name in CLOSED {
        schemas[name]["additionalProperties"] = json!(false);
    }
    let policy = &mut schemas["PolicyPatch"]["properties"];
    for name in ["ttl", "load_timeout", "refresh_every"] {
        policy[name]["pattern"] = json!(TIME);
    }
    for name in ["stale_while_revalidate", "stale_if_error", "check_interval", "client_max_age"] {
        policy[name]["pattern"] = json!(TIME_OR_ZERO);
    }
    policy["mode"]["enum"] = json!(["table", "query", "auto", null]);
    policy["tags"]["items"]["pattern"] = json!(TAG);
    policy["tags"]["maxItems"] = json!(16);
    policy["max_bytes"]["type"] = json!(["string", "integer", "null"]);
    policy["max_bytes"]["pattern"] = json!(SIZE);
    policy["max_bytes"]["minimum"] = json!(1);
    let settings = &mut schemas["SettingsPatch"]["properties"];
    for name in ["tables_max_bytes", "bodies_max_bytes"] {
        settings[name]["pattern"] = json!(BUDGET);
    }
    let formats: Vec<Value> = Format::ALL.map(Format::name).into_iter().map(Value::from).chain([Value::Null]).collect();
    let request = &mut schemas["LoadRequestBody"];
    request["properties"]["format"]["enum"] = formats.into();
    let both = json!({ "properties": { "filters": { "type": "object" }, "query": { "type": "object" } } });
    request["not"] = json!({ "required": ["filters", "query"], "properties": both["properties"] });
}

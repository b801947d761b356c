//! What questions are answered with: the rows in every format, the headers beside them, and the errors.

use pipeline::Dataset;
use pipeline::format::Format;
use serde_json::{Map, Value, json};

use super::{links, problems};

/// The errors of every question about rows.
const ERRORS: [u16; 7] = [400, 404, 406, 413, 502, 503, 504];

/// The headers of answers, by the names of their components.
pub(super) fn headers() -> Value {
    let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    let seconds =
        |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "ETag": text("Validator of this representation; goes into `If-None-Match`.", "\"5f0c1c2b9d6a4e7f8a9b0c1d2e3f4a5b\""),
        "Age": seconds("Seconds since the data was read from its source."),
        "Cache-Control": text("How long a client may keep the answer.", "max-age=3600"),
        "Cache-Status": text("How the answer was found (RFC 9211).", "larder; hit; ttl=3540; detail=memory"),
        "Vary": text("The request headers that the answer depends on.", "accept, accept-encoding, prefer"),
        "Content-Range": text("Which rows these are, and of how many: `first-last/total`; `*` for what is not known.", "0-99/1234"),
        "Link": text("The next page, when there is one (RFC 8288).", "<rows?limit=100&cursor=AQEB&format=json>; rel=\"next\""),
        "Next-Cursor": text("The `cursor` of the next page, when there is one.", "AQEB"),
        "Preference-Applied": text("The preference that was followed.", "count=exact"),
        "Server-Timing": text("What the answer took, in milliseconds, for clients that prefer `timing`.", "table;dur=0.05, body;dur=1.2, total;dur=1.4"),
        "Ignored-Filters": text("Members of `filters` that name no column, separated by commas.", "colour,size_min"),
        "Retry-After": seconds("Seconds after which to ask again."),
        "X-Request-Id": text("The id of the request, as in the log.", "9e3779b97f4a7c15"),
    })
}

/// Responses that many operations share.
pub(super) fn components() -> Map<String, Value> {
    let mut components = problems::components();
    let headers = references(&["ETag", "Age", "Cache-Control", "Cache-Status", "Vary", "X-Request-Id"]);
    components.insert(
        "NotModified".into(),
        json!({ "description": "The client has the answer already (`If-None-Match`).", "headers": headers }),
    );
    components
}

/// The responses to a request for rows of this schema.
pub(super) fn of_rows(dataset: Option<&Dataset>, row: &Value) -> Map<String, Value> {
    let json = either_array_of(row, &[json!({ "$ref": "#/components/schemas/ExplainDto" })]);
    let mut responses = with_rows(row, &json, &[]);
    if let Some(part) = responses.get_mut("206").and_then(Value::as_object_mut) {
        part.insert("links".into(), json!({ "next": links::next_page(dataset) }));
    }
    responses
}

/// The responses to a query as JSON.
pub(super) fn of_query(row: &Value) -> Map<String, Value> {
    let told = json!({
        "type": "object",
        "description": "The answer to `filters`",
        "required": ["row_count", "ignored_filters", "rows"],
        "properties": {
            "row_count": { "type": "integer", "minimum": 0 },
            "ignored_filters": { "type": "array", "items": { "type": "string" } },
            "rows": { "type": "array", "items": row },
        },
    });
    let json = either_array_of(row, &[told, json!({ "$ref": "#/components/schemas/ExplainDto" })]);
    let mut responses = with_rows(row, &json, &["Ignored-Filters"]);
    // Only what is read by GET and HEAD can be known to a client already.
    responses.remove("304");
    responses.extend(problems::of(&[415]));
    responses
}

/// The responses to a request for facets.
pub(super) fn of_facets() -> Map<String, Value> {
    let headers = references(&["ETag", "Age", "Cache-Control", "Cache-Status", "Vary", "X-Request-Id"]);
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/FacetsDto" } } });
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({ "description": "The values and how often they occur", "headers": headers, "content": content }),
    );
    responses.insert("304".into(), json!({ "$ref": "#/components/responses/NotModified" }));
    responses.extend(problems::of(&ERRORS));
    responses
}

fn with_rows(row: &Value, json: &Value, more: &[&str]) -> Map<String, Value> {
    let always = ["ETag", "Age", "Cache-Control", "Cache-Status", "Vary", "Content-Range", "Link", "Next-Cursor"];
    let headers = references(&[&always[..], &["Preference-Applied", "Server-Timing", "X-Request-Id"], more].concat());
    let content = content(row, json);
    let mut responses = Map::new();
    responses.insert("200".into(), json!({ "description": "The rows", "headers": headers, "content": content }));
    let part = "A part of the rows: more than the server gives at once were asked for, or their number was. `Content-Range` \
                says which they are, `Link` where the next page is.";
    responses.insert("206".into(), json!({ "description": part, "headers": headers, "content": content }));
    responses.insert("304".into(), json!({ "$ref": "#/components/responses/NotModified" }));
    responses.extend(problems::of(&ERRORS));
    responses
}

/// Every format's media type.
fn content(row: &Value, json: &Value) -> Map<String, Value> {
    let mut content = Map::new();
    for format in Format::ALL {
        let media = format.media_type().split(';').next().unwrap_or_default();
        content.entry(media).or_insert_with(|| match format {
            Format::Json => json!({ "schema": json }),
            Format::JsonColumns => {
                json!({ "schema": { "type": "object", "additionalProperties": { "type": "array" } } })
            }
            Format::Ndjson => json!({ "schema": { "type": "string" }, "x-item-schema": row }),
            Format::Csv => json!({ "schema": { "type": "string" } }),
            // Bytes: a schema would describe JSON.
            _ => json!({}),
        });
    }
    content
}

/// An array of rows, or one of the other things.
fn either_array_of(row: &Value, others: &[Value]) -> Value {
    let mut either = vec![json!({ "type": "array" })];
    either.extend(others.iter().cloned());
    json!({ "items": row, "anyOf": either })
}

fn references(names: &[&str]) -> Map<String, Value> {
    names.iter().map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))).collect()
}

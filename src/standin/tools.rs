//! Which declared function a text calls, and with which arguments.

use serde_json::{Map, Value, json};

/// A function the session declares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) parameters: Value,
}

/// One call the stand-in makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The calls `text` asks for: none, one, or two when it says "both".
pub(crate) fn calls(text: &str, functions: &[Function]) -> Vec<Call> {
    let lower = text.to_lowercase();
    let mut best: Option<(usize, &Function)> = None;
    for function in functions {
        let parts = parts(&function.name);
        if !parts.last().is_some_and(|last| lower.contains(last)) {
            continue;
        }
        // "set the volume" is about set_volume although get_volume ends alike.
        let score = parts.iter().filter(|part| lower.contains(*part)).count();
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, function));
        }
    }
    let Some((_, function)) = best else { return Vec::new() };
    let call = Call {
        name: function.name.clone(),
        arguments: arguments(text, &function.parameters).to_string(),
    };
    let both = words(&lower).any(|word| word == "both");
    vec![call; if both { 2 } else { 1 }]
}

/// `get_weather`, `get-weather` and `getWeather` are `get` and `weather`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut small = false;
    for letter in name.chars() {
        let hump = letter.is_uppercase() && small;
        if hump || !letter.is_alphanumeric() {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(letter.to_lowercase());
        }
        small = letter.is_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The words of a text without the punctuation around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// The first number in a text, with its sign and fraction.
fn number(text: &str) -> Option<f64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let negative = text[..start].ends_with('-');
    let rest = &text[start..];
    let mut end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let mut tail = rest[end..].chars();
    if tail.next() == Some('.') && tail.next().is_some_and(|c| c.is_ascii_digit()) {
        let more = &rest[end + 1..];
        end += 1 + more.find(|c: char| !c.is_ascii_digit()).unwrap_or(more.len());
    }
    let value: f64 = rest[..end].parse().ok()?;
    Some(if negative { -value } else { value })
}

fn arguments(text: &str, parameters: &Value) -> Value {
    let mut out = Map::new();
    let Some(properties) = parameters.get("properties").and_then(Value::as_object) else {
        return Value::Object(out);
    };
    for (name, schema) in properties {
        out.insert(name.clone(), argument(text, schema));
    }
    Value::Object(out)
}

fn argument(text: &str, schema: &Value) -> Value {
    let last = words(text).last().unwrap_or_default();
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return choice(text, values);
    }
    match kind(schema) {
        "number" => json!(number(text).unwrap_or(0.0)),
        "integer" => {
            #[expect(clippy::cast_possible_truncation, reason = "an integer was asked for")]
            let whole = number(text).unwrap_or(0.0).round() as i64;
            json!(whole)
        }
        "boolean" => json!(!words(&text.to_lowercase()).any(|w| matches!(w, "off" | "no" | "not"))),
        "array" => match schema.get("items") {
            Some(items) => json!([argument(text, items)]),
            None => json!([last]),
        },
        "object" => arguments(text, schema),
        _ => json!(last),
    }
}

/// The allowed value that occurs in the text, else the first.
fn choice(text: &str, values: &[Value]) -> Value {
    let lower = text.to_lowercase();
    let said = |value: &&Value| value.as_str().is_some_and(|v| lower.contains(&v.to_lowercase()));
    values.iter().find(said).or_else(|| values.first()).cloned().unwrap_or(Value::Null)
}

/// The type of a schema; of several (`["string", "null"]`, `anyOf`) the first that is not null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("string")
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => schema
            .get("anyOf")
            .and_then(Value::as_array)
            .and_then(|any| any.iter().map(kind).find(|k| *k != "null"))
            .unwrap_or("string"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, properties: Value) -> Function {
        Function {
            name: name.to_owned(),
            parameters: json!({ "type": "object", "properties": properties }),
        }
    }

    #[test]
    fn the_last_part_of_a_name_calls_it() {
        let functions = [
            function("get_volume", json!({})),
            function("set_volume", json!({ "percent": { "type": "integer" } })),
            function("getWeather", json!({ "city": { "type": "string" } })),
        ];
        let one = calls("What is the weather in Paris?", &functions);
        assert_eq!(
            one,
            [Call { name: "getWeather".to_owned(), arguments: r#"{"city":"Paris"}"#.to_owned() }]
        );
        let one = calls("Please set the volume to 40%.", &functions);
        assert_eq!(one[0].name, "set_volume");
        assert_eq!(one[0].arguments, r#"{"percent":40}"#);
        assert_eq!(calls("What volume is it?", &functions)[0].name, "get_volume");
        assert_eq!(calls("weather for both, in Rome!", &functions).len(), 2);
        assert!(calls("Tell me a joke", &functions).is_empty());
    }

    #[test]
    fn arguments_follow_the_schema() {
        let function = function(
            "do_it",
            json!({
                "n": { "type": "number" }, "i": { "type": ["null", "integer"] },
                "s": { "anyOf": [{ "type": "null" }, { "type": "string" }] },
                "e": { "type": "string", "enum": ["red", "green"] }, "b": { "type": "boolean" },
                "l": { "type": "array", "items": { "type": "string" } },
            }),
        );
        let call = &calls("do it -2.5 times in green, off \"Now\".", &[function])[0];
        let args: Value = serde_json::from_str(&call.arguments).unwrap();
        let want =
            json!({ "n": -2.5, "i": -3, "s": "Now", "e": "green", "b": false, "l": ["Now"] });
        assert_eq!(args, want);
    }
}

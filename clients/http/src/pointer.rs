//! Texts inside the JSON bodies of other programs, found by JSON pointers (RFC 6901).
//!
//! Programs such as Grafana and Uptime Kuma post bodies of a form of their own, and let the user choose only the URL and
//! the headers. `?text=/message` says where the text of the message is in such a body.

use crate::problem::Problem;
use serde_json::Value;

/// The parameter of the query.
const NAME: &str = "text";
/// The most pointers in one request.
const MOST: usize = 8;

/// Pointers to texts, in the order of the query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointers(Vec<String>);

impl Pointers {
    /// Parses the parameters of a query. Returns nothing if there are none.
    ///
    /// Errors: another parameter, too many pointers, a text that is not a pointer.
    pub(crate) fn parse(query: Vec<(String, String)>) -> Result<Option<Self>, Problem> {
        let mut pointers = Vec::new();
        for (name, pointer) in query {
            if name != NAME {
                return Err(Problem::argument(format!(
                    "There is no parameter {name:?}. The only one is `text`."
                )));
            }
            if !pointer.starts_with('/') {
                return Err(Problem::argument(format!(
                    "{pointer:?} is not a JSON pointer, which begins with a slash: `?text=/message`."
                )));
            }
            pointers.push(pointer);
        }
        if pointers.len() > MOST {
            return Err(Problem::argument(
                "At most 8 parameters `text` are possible.",
            ));
        }
        Ok((!pointers.is_empty()).then_some(Self(pointers)))
    }

    /// Returns the texts of a body, one below the other. Values that are absent, null or blank are left out.
    ///
    /// Errors: the body is not JSON, a value is an array or an object, or there is no text.
    pub(crate) fn text(&self, body: &[u8]) -> Result<String, Problem> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::argument(format!("The body is not JSON: {error}.")))?;
        let mut texts = Vec::new();
        for pointer in &self.0 {
            let found = body.pointer(pointer).unwrap_or(&Value::Null);
            texts.extend(shown(pointer, found)?);
        }
        if texts.is_empty() {
            let pointers = self.0.join(", ");
            return Err(Problem::argument(format!(
                "The body has no text at {pointers}."
            )));
        }
        Ok(texts.join("\n"))
    }
}

fn shown(pointer: &str, value: &Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.trim().is_empty()).then(|| text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err(Problem::argument(format!(
            "The value at {pointer} is an array or an object. Point to a text inside it."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pointers: &[&str], body: &str) -> Result<String, Problem> {
        let query = pointers.iter();
        let query = query.map(|it| ("text".to_owned(), (*it).to_owned()));
        Pointers::parse(query.collect())?
            .unwrap()
            .text(body.as_bytes())
    }

    #[test]
    fn texts_are_found_and_joined() {
        let body =
            r#"{"title": "Disk", "a/b": [{"message": "full"}], "value": 93.5, "none": null}"#;
        assert_eq!(text(&["/title"], body).unwrap(), "Disk");
        let joined = text(
            &["/title", "/none", "/absent", "/a~1b/0/message", "/value"],
            body,
        );
        assert_eq!(joined.unwrap(), "Disk\nfull\n93.5");
        for wrong in [
            &["/a~1b"][..],
            &["/none"],
            &["title"],
            &["/title/x"],
            &["/x"; 9],
        ] {
            assert!(text(wrong, body).is_err(), "{wrong:?}");
        }
        assert!(text(&["/title"], "Disk").is_err());
        assert!(text(&["/title"], r#"{"title": "  "}"#).is_err());
    }

    #[test]
    fn other_parameters_are_refused() {
        assert_eq!(Pointers::parse(Vec::new()).unwrap(), None);
        let other = vec![("txt".to_owned(), "/message".to_owned())];
        assert!(Pointers::parse(other).is_err());
    }
}

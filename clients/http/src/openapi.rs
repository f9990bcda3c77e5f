//! The OpenAPI document, made from the table of operations and the contracts of the API.

use crate::metrics;
use crate::operations::{OPERATIONS, Operation, Values};
use crate::problem::Problem;
use axum::Json;
use m2_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde_json::{Map, Value, json};

const PACKAGE: &str = "m2.api.v1";
/// The JSON form of a duration in protobuf, in seconds.
const DURATION: &str = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$";

pub(crate) async fn serve() -> Result<Json<Value>, Problem> {
    Ok(Json(document()))
}

/// Returns the document.
pub(crate) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), described(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "M2 HTTP gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Messages and events of an M2 daemon. The fields are those of its gRPC API.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn described(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true, "schema": {"type": "string"},
        }))
    });
    let in_query = operation.query.iter().map(|(name, values, text)| {
        json!({
            "name": name, "in": "query", "description": text, "schema": parameter(*values),
        })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            operation.status.to_string(): {
                "description": "Success.",
                "content": response_content(operation.response),
            },
            "default": {
                "description": "An error, with a stable reason.",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            },
        },
    });
    let Some(fields) = described.as_object_mut() else {
        return described;
    };
    if !operation.scope.is_empty() {
        fields.insert("security".to_owned(), json!([{"token": []}]));
        let text = format!("Scope of the token: {}.", operation.scope);
        fields.insert("description".to_owned(), text.into());
    }
    if !operation.request.is_empty() {
        let content = request_content(operation.request);
        // A reaction without a text is none.
        let is_required = operation.request != "ReactRequest";
        let body = json!({"required": is_required, "content": content});
        fields.insert("requestBody".to_owned(), body);
    }
    described
}

/// Returns the schema of a parameter.
fn parameter(values: Values) -> Value {
    match values {
        Values::Text => json!({"type": "string"}),
        Values::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Values::Numbers(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Values::OneOf(texts) => json!({"type": "string", "enum": texts}),
    }
}

/// Returns the forms of a response, by media type.
fn response_content(response: &str) -> Value {
    let json = json!({"schema": reference(response)});
    let text = json!({"schema": {"type": "string"}});
    match response {
        "Metrics" => json!({metrics::TEXT: text}),
        "Events" => json!({"application/json": json, "text/event-stream": text}),
        _ => json!({"application/json": json}),
    }
}

/// Returns the forms of a request's body, by media type: the text of a message may be the whole body.
fn request_content(request: &str) -> Value {
    let json = json!({"schema": reference(request)});
    match request {
        "SendMessageRequest" | "EditMessageRequest" | "ReactRequest" => {
            json!({"application/json": json, "text/plain": {"schema": {"type": "string"}}})
        }
        _ => json!({"application/json": json}),
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Returns the schemas of all messages of the API, and those of the gateway's own responses.
fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    // The descriptors are made when the program is built, so that they can be decoded.
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    for file in set.file.iter().filter(|file| file.package() == PACKAGE) {
        for message in &file.message_type {
            add_message(&mut schemas, "", message);
        }
        for values in &file.enum_type {
            schemas.insert(values.name().to_owned(), enumeration(values));
        }
    }
    let page = json!({"type": "object", "properties": {
        "events": {"type": "array", "items": reference("Event")},
        "cursor": {"type": "string"},
    }});
    schemas.insert("Events".to_owned(), page);
    schemas.insert("Health".to_owned(), health());
    schemas.insert("Document".to_owned(), json!({"type": "object"}));
    let problem = json!({"type": "object", "required": ["status", "reason", "detail"], "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "reason": {"type": "string"},
        "detail": {"type": "string"},
    }});
    schemas.insert("Problem".to_owned(), problem);
    schemas
}

fn health() -> Value {
    let number = json!({"type": "integer"});
    let webhooks = json!({"running": number, "failing": number});
    json!({"type": "object", "properties": {
        "status": {"type": "string"},
        "webhooks": {"type": "object", "properties": webhooks},
    }})
}

fn add_message(schemas: &mut Map<String, Value>, above: &str, message: &DescriptorProto) {
    let name = format!("{above}{}", message.name());
    let fields = message.field.iter();
    let properties: Map<String, Value> = fields
        .map(|field| (field.json_name().to_owned(), property(field, message)))
        .collect();
    let schema = json!({"type": "object", "properties": properties});
    for nested in &message.nested_type {
        add_message(schemas, &format!("{name}."), nested);
    }
    for values in &message.enum_type {
        schemas.insert(format!("{name}.{}", values.name()), enumeration(values));
    }
    schemas.insert(name, schema);
}

fn enumeration(values: &EnumDescriptorProto) -> Value {
    let names: Vec<&str> = values.value.iter().map(|value| value.name()).collect();
    json!({"type": "string", "enum": names})
}

fn property(field: &FieldDescriptorProto, message: &DescriptorProto) -> Value {
    let single = value(field);
    let is_optional = field.proto3_optional() || field.oneof_index.is_some();
    match field.label() {
        Label::Repeated => match entry(field, message) {
            Some(entry) => {
                let values = entry.field.iter().find(|field| field.number() == 2);
                json!({"type": "object", "additionalProperties": values.map(value)})
            }
            None => json!({"type": "array", "items": single}),
        },
        _ if is_optional || field.r#type() == Type::Message => {
            json!({"anyOf": [single, {"type": "null"}]})
        }
        _ => single,
    }
}

/// Returns the type of the entries, if the field is a map.
fn entry<'a>(
    field: &FieldDescriptorProto,
    message: &'a DescriptorProto,
) -> Option<&'a DescriptorProto> {
    let name = field.type_name().rsplit('.').next()?;
    let mut nested = message.nested_type.iter();
    let is_map = |nested: &&DescriptorProto| {
        let options = nested.options.as_ref();
        options.is_some_and(|options| options.map_entry()) && nested.name() == name
    };
    nested.find(is_map)
}

fn value(field: &FieldDescriptorProto) -> Value {
    match field.r#type() {
        Type::Bool => json!({"type": "boolean"}),
        Type::Double | Type::Float => json!({"type": "number"}),
        Type::Int32 | Type::Uint32 | Type::Sint32 | Type::Fixed32 | Type::Sfixed32 => {
            json!({"type": "integer"})
        }
        // The JSON form of protobuf writes numbers of 64 bits as texts, and reads both.
        Type::Int64 | Type::Uint64 | Type::Sint64 | Type::Fixed64 | Type::Sfixed64 => {
            json!({"type": ["string", "integer"]})
        }
        Type::String => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Type::Enum | Type::Message | Type::Group => named(field.type_name()),
    }
}

fn named(type_name: &str) -> Value {
    match type_name {
        ".google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        ".google.protobuf.Duration" => json!({"type": "string", "pattern": DURATION}),
        name => reference(
            name.trim_start_matches('.')
                .trim_start_matches(PACKAGE)
                .trim_start_matches('.'),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects the names of all schemas that a value refers to.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if key == "$ref" {
                        let name = value.as_str().and_then(|it| it.rsplit('/').next());
                        found.extend(name.map(str::to_owned));
                    }
                    references(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_has_a_schema() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in found {
            assert!(schemas.contains_key(&name), "{name}");
        }
    }

    #[test]
    fn operations_name_their_parameters() {
        let document = document();
        let send = &document["paths"]["/v1/contacts/{contact}/messages"]["post"];
        assert_eq!(send["parameters"][0]["name"], "contact");
        assert_eq!(send["security"][0]["token"], json!([]));
        let fields = &document["components"]["schemas"]["SendMessageRequest"]["properties"];
        assert_eq!(fields["idempotencyKey"]["type"], "string");
        assert_eq!(
            document["paths"]["/v1/health"]["get"]["security"],
            Value::Null
        );
    }
}

//! Generates Markdown from the contracts' comments.

use std::collections::HashMap;
use std::fmt::Write;

use m2_proto::reason::Reason;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

const PACKAGE: &str = "m2.api.v1";

// Field numbers of descriptor.proto, of which paths into a file consist.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const INNER: i32 = 2;

const INTRODUCTION: &str = "\
<!-- Generated from the comments of m2-proto/proto/m2/api/v1; change them there. -->

# API: `m2.api.v1`

This is the API for front-ends: gRPC over the daemon's local socket. The [default places of the
socket](../operator/running.md#the-socket) are those where `m2` looks for it. Only the user that the
daemon runs as, and root, may call it. The daemon accepts any `:authority`. It offers health checking
(`grpc.health.v1`, for the daemon and each service) and reflection (v1 and v1alpha). There are
[examples](../operator/scripting.md) in several languages.

JSON output follows the proto3 mapping: names in lowerCamelCase, 64-bit numbers as strings, enums by
their full name, bytes in base64, times in RFC 3339 with `Z`, durations as `\"3600s\"`. Every field
is present, also if it is false, zero or empty; only an `optional` field is absent if it is unknown.
A reader must ignore fields that it does not know.
";

/// Returns the reference of the whole package.
pub(crate) fn markdown(set: &FileDescriptorSet) -> String {
    let mut text = String::from(INTRODUCTION);
    reasons(&mut text);
    for file in ours(set) {
        let comments = Comments::of(file);
        for (index, service) in (0..).zip(&file.service) {
            write_service(&mut text, service, index, &comments);
        }
    }
    text.push_str("\n## Messages\n");
    for file in ours(set) {
        let comments = Comments::of(file);
        for (index, message) in (0..).zip(&file.message_type) {
            write_message(&mut text, message, index, &comments);
        }
        for (index, kind) in (0..).zip(&file.enum_type) {
            write_enum(&mut text, kind, index, &comments);
        }
    }
    text
}

/// Returns the comments of all services and their calls.
pub(crate) fn service_comments(set: &FileDescriptorSet) -> Vec<String> {
    let mut found = Vec::new();
    for file in ours(set) {
        let comments = Comments::of(file);
        let services = comments
            .0
            .iter()
            .filter(|(path, _)| path[0] == FILE_SERVICE);
        found.extend(services.map(|(_, comment)| comment.clone()));
    }
    found
}

fn reasons(text: &mut String) {
    text.push_str(
        "\n## Errors\n\nEvery error carries a `google.rpc.ErrorInfo` with the domain `m2.api.v1` \
         and one of these\nreasons. Programs must branch on the reason; the sentences may change.\n\n\
         | reason | gRPC code | what to do |\n| --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let (name, code) = (reason.as_str(), reason.code());
        let sentence = reason.sentence();
        writeln!(text, "| `{name}` | {code:?} | {sentence} |").unwrap();
    }
}

fn write_service(
    text: &mut String,
    service: &ServiceDescriptorProto,
    index: i32,
    comments: &Comments,
) {
    writeln!(text, "\n## {}\n", service.name()).unwrap();
    writeln!(text, "{}", comments.at(&[FILE_SERVICE, index])).unwrap();
    for (number, method) in (0..).zip(&service.method) {
        writeln!(text, "\n### {}.{}\n", service.name(), method.name()).unwrap();
        writeln!(text, "`{}`\n", signature(method)).unwrap();
        let comment = comments.at(&[FILE_SERVICE, index, INNER, number]);
        writeln!(text, "{comment}").unwrap();
    }
}

fn signature(method: &MethodDescriptorProto) -> String {
    let stream = |is: bool| if is { "stream " } else { "" };
    format!(
        "({}{}) → {}{}",
        stream(method.client_streaming()),
        short(method.input_type()),
        stream(method.server_streaming()),
        short(method.output_type())
    )
}

fn write_message(text: &mut String, message: &DescriptorProto, index: i32, comments: &Comments) {
    writeln!(text, "\n### {}\n", message.name()).unwrap();
    let comment = comments.at(&[FILE_MESSAGE, index]);
    if !comment.is_empty() {
        writeln!(text, "{comment}\n").unwrap();
    }
    if message.field.is_empty() {
        text.push_str("No fields.\n");
        return;
    }
    text.push_str("| field | JSON | type | |\n| --- | --- | --- | --- |\n");
    for (number, field) in (0..).zip(&message.field) {
        let comment = comments.at(&[FILE_MESSAGE, index, INNER, number]);
        writeln!(
            text,
            "| `{}` | `{}` | {} | {} |",
            field.name(),
            field.json_name(),
            type_of(field, message),
            cell(&comment)
        )
        .unwrap();
    }
}

fn write_enum(text: &mut String, kind: &EnumDescriptorProto, index: i32, comments: &Comments) {
    writeln!(text, "\n### {}\n", kind.name()).unwrap();
    writeln!(text, "{}\n", comments.at(&[FILE_ENUM, index])).unwrap();
    text.push_str("| value | number | |\n| --- | --- | --- |\n");
    for (number, value) in (0..).zip(&kind.value) {
        let comment = comments.at(&[FILE_ENUM, index, INNER, number]);
        let (name, number) = (value.name(), value.number());
        writeln!(text, "| `{name}` | {number} | {} |", cell(&comment)).unwrap();
    }
}

fn type_of(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let entry = message
        .nested_type
        .iter()
        .find(|inner| field.type_name().ends_with(&format!(".{}", inner.name())));
    if let Some(entry) = entry {
        let part = |at: usize| base_type(&entry.field[at]);
        return format!("map of {} to {}", part(0), part(1));
    }
    let base = base_type(field);
    let is_choice = field.oneof_index.is_some() && !field.proto3_optional();
    match field.label() {
        Label::Repeated => format!("list of {base}"),
        _ if field.proto3_optional() => format!("{base}, optional"),
        _ if is_choice => {
            let oneof = &message.oneof_decl[field.oneof_index() as usize];
            format!("{base}, one of *{}*", oneof.name())
        }
        _ => base,
    }
}

fn base_type(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum if field.type_name().starts_with(".m2.") => {
            let name = short(field.type_name());
            format!("[{name}](#{})", name.to_lowercase())
        }
        Type::Message | Type::Enum => short(field.type_name()).to_owned(),
        other => other
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap()
}

/// Formats a comment as one line of a table.
fn cell(comment: &str) -> String {
    comment.replace('\n', " ").replace('|', "\\|")
}

fn ours(set: &FileDescriptorSet) -> impl Iterator<Item = &FileDescriptorProto> {
    set.file.iter().filter(|file| file.package() == PACKAGE)
}

/// A file's comments by the path of the commented element.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let info = file.source_code_info.as_ref().expect("comments are kept");
        let commented = info
            .location
            .iter()
            .filter(|at| at.leading_comments.is_some());
        Self(
            commented
                .map(|at| (at.path.clone(), clean(at.leading_comments())))
                .collect(),
        )
    }

    fn at(&self, path: &[i32]) -> String {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

fn clean(comment: &str) -> String {
    let lines: Vec<&str> = comment.trim().lines().map(str::trim).collect();
    lines.join("\n")
}

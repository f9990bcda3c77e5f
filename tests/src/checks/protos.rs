//! Checks of the protobuf contracts: packages are versioned, every declaration has a comment, and
//! each call has its own request and response messages.

use super::files::SourceFile;
use std::collections::HashMap;

/// A declaration in a proto file: a service, rpc, message or enum.
struct Declaration<'a> {
    file: &'a str,
    line: usize,
    commented: bool,
    kind: &'a str,
    name: &'a str,
    rest: &'a str,
}

/// Returns all violations of the rules.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let protos: Vec<&SourceFile> = files.iter().filter(|file| file.is("proto")).collect();
    let declarations: Vec<Declaration<'_>> =
        protos.iter().flat_map(|file| declarations(file)).collect();
    let calls: Vec<Call<'_>> = declarations.iter().filter_map(Call::of).collect();
    let mut findings: Vec<String> = protos.iter().filter_map(|file| package(file)).collect();
    findings.extend(uncommented(&declarations, &calls));
    findings.extend(calls.iter().filter_map(Call::misnamed));
    findings.extend(shared_messages(&calls));
    findings
}

/// Checks that the package matches the directory and is versioned: `m2/api/v1/x.proto` has the
/// package `m2.api.v1`.
fn package(file: &SourceFile) -> Option<String> {
    let directory = file.path.split_once("/proto/")?.1.rsplit_once('/')?.0;
    let wanted = directory.replace('/', ".");
    let declared = format!("package {wanted};");
    let version = wanted.rsplit_once(".v").map(|(_, version)| version);
    let versioned = version.is_some_and(|version| version.parse::<u32>().is_ok());
    (!versioned || !file.text.lines().any(|line| line == declared))
        .then(|| format!("{}: must contain \"{declared}\", with a version", file.path))
}

/// Returns the declarations without a comment. The comment of an rpc also covers its request and
/// response.
fn uncommented(declarations: &[Declaration<'_>], calls: &[Call<'_>]) -> Vec<String> {
    declarations
        .iter()
        .filter(|declaration| !declaration.commented)
        .filter(|declaration| {
            !calls
                .iter()
                .any(|call| call.request == declaration.name || call.response == declaration.name)
        })
        .map(|found| {
            format!(
                "{}:{}: {} {} has no comment",
                found.file, found.line, found.kind, found.name
            )
        })
        .collect()
}

struct Call<'a> {
    declaration: &'a Declaration<'a>,
    request: &'a str,
    response: &'a str,
}

impl<'a> Call<'a> {
    /// Parses `rpc NAME(stream REQUEST) returns (stream RESPONSE);`.
    fn of(declaration: &'a Declaration<'a>) -> Option<Self> {
        if declaration.kind != "rpc" {
            return None;
        }
        let mut types = declaration
            .rest
            .split(['(', ')'])
            .skip(1)
            .step_by(2)
            .map(|inside| inside.trim_start_matches("stream ").trim());
        Some(Self {
            declaration,
            request: types.next()?,
            response: types.next()?,
        })
    }

    fn misnamed(&self) -> Option<String> {
        let name = self.declaration.name;
        let named =
            self.request == format!("{name}Request") && self.response == format!("{name}Response");
        (!named).then(|| {
            format!(
                "{}:{}: {name} must take {name}Request and return {name}Response",
                self.declaration.file, self.declaration.line
            )
        })
    }
}

fn shared_messages(calls: &[Call<'_>]) -> Vec<String> {
    let mut uses: HashMap<&str, u32> = HashMap::new();
    for call in calls {
        *uses.entry(call.request).or_default() += 1;
        *uses.entry(call.response).or_default() += 1;
    }
    uses.into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, count)| {
            format!("{name}: used {count} times; each call must have its own messages")
        })
        .collect()
}

fn declarations(file: &SourceFile) -> Vec<Declaration<'_>> {
    let mut found = Vec::new();
    let mut commented = false;
    for (line, text) in (1..).zip(file.text.lines().map(str::trim)) {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        if ["service", "rpc", "message", "enum"].contains(&kind) {
            found.push(Declaration {
                file: &file.path,
                line,
                commented,
                kind,
                name: rest.split([' ', '(', '{']).next().unwrap_or_default(),
                rest,
            });
        }
        commented = text.starts_with("//");
    }
    found
}

//! Checks of Rust sources: the length of functions, and the use of `unsafe`.

use super::files::SourceFile;
use syn::visit::{self, Visit};

/// The maximum number of lines of a function. The style guide asks for a reason well below this
/// (docs/dev).
const LONGEST_FUNCTION: usize = 60;
/// The maximum number of lines of a function in tests, where scenes and tables are longer.
const LONGEST_IN_TESTS: usize = 80;

/// Files that may contain `unsafe`, each with the reason.
///
/// All are functions of Windows, for which there is no safe library (docs/adr/0029-windows.md).
const UNSAFE_FILES: [(&str, &str); 7] = [
    (
        "m2-proto/windows/src/memory.rs",
        "frees memory of the system",
    ),
    ("m2-proto/windows/src/sid.rs", "identifiers of accounts"),
    (
        "m2-proto/windows/src/token.rs",
        "tokens of processes and clients",
    ),
    ("m2-proto/windows/src/descriptor.rs", "security descriptors"),
    (
        "m2-proto/windows/src/pipe.rs",
        "pipes with a descriptor, their owner",
    ),
    (
        "m2-proto/windows/src/directory.rs",
        "directories with a descriptor, free space",
    ),
    (
        "m2-proto/windows/src/console.rs",
        "the mode of the terminal",
    ),
];

/// The lengths of the product's functions, and the violations found in all sources.
#[derive(Debug, Default)]
pub struct CodeReport {
    /// The functions outside tests, the shortest first.
    functions: Vec<Measured>,
    /// Functions that are too long, files that cannot be parsed, and `unsafe` where it is not
    /// allowed.
    pub findings: Vec<String>,
}

impl CodeReport {
    /// Checks all Rust files.
    pub fn of(files: &[SourceFile]) -> Self {
        let mut report = Self::default();
        for file in files.iter().filter(|file| file.is("rs")) {
            report.read(file);
        }
        report.functions.sort_unstable_by_key(|one| one.lines);
        report
    }

    /// Returns the lengths of the functions in files whose path begins with `prefix`; with the empty
    /// prefix those of all functions.
    pub fn lengths_in(&self, prefix: &str) -> Lengths {
        let functions = self.functions.iter();
        let within = functions.filter(|one| one.path.starts_with(prefix));
        Lengths(within.map(|one| one.lines).collect())
    }

    fn read(&mut self, file: &SourceFile) {
        let parsed = match syn::parse_file(&file.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.findings.push(format!("{}: {error}", file.path));
                return;
            }
        };
        let mut reader = Reader::default();
        reader.visit_file(&parsed);
        for function in reader.functions {
            let path = &file.path;
            let is_test = function.test
                || path.starts_with("tests/")
                || path.contains("/tests/")
                || path.ends_with("/tests.rs");
            let longest = if is_test {
                LONGEST_IN_TESTS
            } else {
                LONGEST_FUNCTION
            };
            if function.lines > longest {
                self.findings.push(format!(
                    "{path}: {} has {} lines, more than {longest}",
                    function.name, function.lines
                ));
            }
            if !is_test {
                self.functions.push(Measured {
                    path: path.clone(),
                    lines: function.lines,
                });
            }
        }
        let allowed = UNSAFE_FILES.iter().any(|(path, _)| *path == file.path);
        if reader.has_unsafe && !allowed {
            self.findings
                .push(format!("{}: unsafe is not allowed here", file.path));
        }
    }
}

/// The number of lines of each of several functions, sorted.
#[derive(Debug)]
pub struct Lengths(Vec<usize>);

impl Lengths {
    /// Returns the number of functions.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the given percentile of the lengths.
    pub fn percentile(&self, percent: usize) -> usize {
        let last = self.0.len().saturating_sub(1);
        let index = last * percent / 100;
        self.0.get(index).copied().unwrap_or_default()
    }

    /// Returns the number of functions that are longer than `lines`.
    pub fn longer_than(&self, lines: usize) -> usize {
        self.0.iter().filter(|length| **length > lines).count()
    }
}

/// The length of a function in a file.
#[derive(Debug)]
struct Measured {
    path: String,
    lines: usize,
}

struct Function {
    name: String,
    lines: usize,
    test: bool,
}

/// Visits one file and collects its functions.
#[derive(Default)]
struct Reader {
    functions: Vec<Function>,
    has_unsafe: bool,
    /// Set inside a module with `#[cfg(test)]`.
    in_tests: bool,
}

impl Reader {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        self.has_unsafe |= signature.unsafety.is_some();
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: last + 1 - first,
            test: self.in_tests,
        });
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let outside = self.in_tests;
        self.in_tests |= module.attrs.iter().any(is_cfg_test);
        visit::visit_item_mod(self, module);
        self.in_tests = outside;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.function(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.has_unsafe = true;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.has_unsafe |= item.unsafety.is_some();
        visit::visit_item_impl(self, item);
    }
}

pub(super) fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|word| word == "test")
}

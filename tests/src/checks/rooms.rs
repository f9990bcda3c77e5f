//! The dependencies between the modules of each crate: they form no circle (docs/architecture.md).

use super::files::SourceFile;
use super::rust_code::is_cfg_test;
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// The modules of one crate, by name, each with the modules that it uses and a file that does.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// The module in which an item of the crate is found, for items that the crate's root re-exports.
type Exports = BTreeMap<String, String>;

/// Returns the uses of modules that close a circle.
pub fn circles(files: &[SourceFile]) -> Vec<String> {
    let roots = files.iter().filter_map(|file| {
        let root = file.path.strip_suffix("lib.rs")?;
        let is_checked = !root.starts_with("tests/");
        (root.ends_with("/src/") && is_checked).then_some(root)
    });
    roots.flat_map(|root| circles_of(files, root)).collect()
}

fn circles_of(files: &[SourceFile], root: &str) -> Vec<String> {
    let mut uses = uses(files, root);
    prune(&mut uses);
    let pairs = uses.into_iter().flat_map(|(module, used)| {
        let used = used.into_iter();
        used.map(move |(other, file)| format!("{root}: {module} uses {other} in {file}"))
    });
    pairs.collect()
}

/// Removes the modules that are in no circle: those that use no others, or are used by no others.
fn prune(uses: &mut Uses) {
    loop {
        let before = uses.len();
        let used: BTreeSet<String> = uses
            .values()
            .flat_map(|used| used.keys().cloned())
            .collect();
        uses.retain(|module, others| !others.is_empty() && used.contains(module));
        let left: BTreeSet<String> = uses.keys().cloned().collect();
        for used in uses.values_mut() {
            used.retain(|other, _| left.contains(other));
        }
        uses.retain(|_, used| !used.is_empty());
        if uses.len() == before {
            return;
        }
    }
}

fn uses(files: &[SourceFile], root: &str) -> Uses {
    let source = |file: &SourceFile| syn::parse_file(&file.text).ok();
    let lib = files
        .iter()
        .find(|file| file.path == format!("{root}lib.rs"));
    let Some(lib) = lib.and_then(source) else {
        return Uses::new();
    };
    let (modules, exports) = (modules(&lib), exports(&lib));
    let mut all = Uses::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let Some(within) = file.path.strip_prefix(root) else {
            continue;
        };
        let Some(path) = within.strip_suffix(".rs") else {
            continue;
        };
        let places: Vec<&str> = path.split('/').collect();
        let module = places.first().copied().unwrap_or_default();
        if !modules.contains(module) || places.contains(&"tests") {
            continue;
        }
        let Some(parsed) = source(file) else {
            continue;
        };
        let mut reader = Reader::new(places.len());
        reader.visit_file(&parsed);
        for name in reader.names {
            let used = exports.get(&name).unwrap_or(&name);
            if modules.contains(used) && used != module {
                let entry = all.entry(module.to_owned()).or_default();
                entry
                    .entry(used.clone())
                    .or_insert_with(|| file.path.clone());
            }
        }
    }
    all
}

fn modules(lib: &syn::File) -> BTreeSet<String> {
    let modules = lib.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if !module.attrs.iter().any(is_cfg_test) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    modules.collect()
}

fn exports(lib: &syn::File) -> Exports {
    let mut exports = Exports::new();
    for item in &lib.items {
        if let syn::Item::Use(item) = item {
            for path in flattened(&item.tree) {
                if let [module, .., name] = path.as_slice() {
                    exports.insert(name.clone(), module.clone());
                }
            }
        }
    }
    exports
}

/// Collects the names at the crate's root that one file uses outside its tests.
struct Reader {
    /// How many times `super` leads from here to the crate's root.
    depth: usize,
    names: BTreeSet<String>,
}

impl Reader {
    const fn new(depth: usize) -> Self {
        Self {
            depth,
            names: BTreeSet::new(),
        }
    }

    fn take(&mut self, path: &[String]) {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let name = match path.first().map(String::as_str) {
            Some("crate") => path.get(1),
            Some("super") if supers == self.depth => path.get(supers),
            _ => None,
        };
        self.names.extend(name.cloned());
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(is_cfg_test) {
            return;
        }
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !item.attrs.iter().any(is_cfg_test) {
            flattened(&item.tree)
                .iter()
                .for_each(|path| self.take(path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter().map(|part| part.ident.to_string());
        let parts: Vec<String> = parts.collect();
        self.take(&parts);
        visit::visit_path(self, path);
    }
}

/// Returns the paths that a `use` brings into scope.
fn flattened(tree: &syn::UseTree) -> Vec<Vec<String>> {
    let leaf = |name: &syn::Ident| vec![vec![name.to_string()]];
    match tree {
        syn::UseTree::Path(path) => {
            let below = flattened(&path.tree).into_iter();
            let with = |mut rest: Vec<String>| {
                rest.insert(0, path.ident.to_string());
                rest
            };
            below.map(with).collect()
        }
        syn::UseTree::Name(name) => leaf(&name.ident),
        syn::UseTree::Rename(renamed) => leaf(&renamed.ident),
        syn::UseTree::Glob(_) => vec![vec!["*".to_owned()]],
        syn::UseTree::Group(group) => group.items.iter().flat_map(flattened).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    #[test]
    fn circles_are_found_through_re_exports_and_super() {
        let lib = "mod a; mod b; mod c; mod d; pub use b::Thing;";
        let files = [
            file("x/src/lib.rs", lib),
            file(
                "x/src/a.rs",
                "use crate::Thing; fn f() -> super::d::D { todo!() }",
            ),
            file("x/src/b.rs", "mod inner;"),
            file("x/src/b/inner.rs", "use super::super::c::{C, Other};"),
            file("x/src/c.rs", "pub fn f() { crate::a::f() }"),
            file("x/src/d.rs", "#[cfg(test)] mod tests { use crate::a::f; }"),
        ];
        let found = circles(&files);
        assert_eq!(found.len(), 3, "{found:?}");
        let without: Vec<SourceFile> = files
            .into_iter()
            .filter(|file| !file.path.ends_with("c.rs"))
            .collect();
        assert_eq!(circles(&without), [""; 0]);
    }
}

use super::*;

const MODEL: &str = "\
// sessions: 1 in leaked
attacker[active]
principal Alice[
    generates m
    e = ENC(k, m)
    //~ plain, both: e = m
    //+ leaked, both: leaks m
]
queries[
    confidentiality? m // expect: pass, attack in plain, leaked, both
    //+ leaked: confidentiality? k // expect: attack
]
";

fn error(text: &str) -> String {
    format!("{:#}", Model::parse(text).unwrap_err())
}

#[test]
fn variants_replace_and_insert_lines_and_keep_their_numbers() {
    let model = Model::parse(MODEL).unwrap();
    let names: Vec<_> = model.variants().collect();
    assert_eq!(names, [None, Some("both"), Some("leaked"), Some("plain")]);
    let line = |variant, number: usize| {
        let text = model.text(variant);
        text.lines().nth(number - 1).unwrap().trim().to_owned()
    };
    assert_eq!(line(None, 5), "e = ENC(k, m)");
    assert_eq!(line(None, 7), "");
    assert_eq!(line(Some("plain"), 5), "e = m");
    assert_eq!(line(Some("plain"), 7), "");
    assert_eq!(line(Some("leaked"), 5), "e = ENC(k, m)");
    assert_eq!(line(Some("leaked"), 7), "leaks m");
    assert_eq!(line(Some("both"), 5), "e = m");
    assert_eq!(line(Some("both"), 7), "leaks m");
    for variant in model.variants() {
        assert_eq!(line(variant, 9), "queries[");
    }
}

#[test]
fn each_variant_has_its_queries_results_and_sessions() {
    let model = Model::parse(MODEL).unwrap();
    let results = |variant| -> Vec<_> {
        let queries = model.queries(variant).unwrap();
        queries.iter().map(|q| (q.line, q.expected)).collect()
    };
    assert_eq!(results(None), [(10, Verdict::Pass)]);
    assert_eq!(results(Some("plain")), [(10, Verdict::Attack)]);
    let both = [(10, Verdict::Attack), (11, Verdict::Attack)];
    assert_eq!(results(Some("leaked")), both);
    assert_eq!(model.queries(None).unwrap()[0].text, "confidentiality? m");
    assert_eq!(model.sessions(None), SESSIONS);
    assert_eq!(model.sessions(Some("leaked")), 1);
    let usual = Model::parse(&format!("// sessions: 3\n{MODEL}")).unwrap();
    assert_eq!(usual.sessions(None), 3);
    assert_eq!(usual.sessions(Some("leaked")), 1);
}

#[test]
fn a_query_that_never_fails_is_refused() {
    let never = "queries[\n confidentiality? m // expect: pass\n]";
    assert_eq!(
        error(never),
        "no variant in which `confidentiality? m` fails"
    );
    let known = "queries[\n confidentiality? m // expect: attack\n]";
    assert!(Model::parse(known).is_ok());
}

#[test]
fn malformed_annotations_are_refused() {
    let query = |comment: &str| format!("queries[\n//+ a: x\nfreshness? m {comment}\n]");
    assert!(error(&query("")).contains("no `// expect: `"));
    assert!(error(&query("// expect: maybe")).contains("`maybe` is neither"));
    assert!(error(&query("// expect: pass, attack")).contains("no ` in `"));
    assert!(error(&query("// expect: pass, pass in a")).contains("both verdicts"));
    assert!(error(&query("// expect: pass, attack in b")).contains("unknown variant `b`"));
    assert!(error("//~ a: b").contains("no line above"));
    assert!(error("x\n//~ a").contains("line 2: no `: `"));
    assert!(error("//+ Not a name: b").contains("lower-case"));
    assert!(error("// sessions: many").contains("no number"));
    assert!(error("attacker[active]").contains("no line `queries[`"));
    let sessions = "// sessions: 1 in b\nqueries[\n freshness? m // expect: attack\n]";
    assert!(error(sessions).contains("unknown variant `b`"));
}

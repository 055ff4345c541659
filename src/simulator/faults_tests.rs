use super::*;

const IMAGES: [&str; 2] = ["v2", "images"];

fn names(plan: &mut Plan, method: &str, path: &[&str]) -> Vec<String> {
    plan.meet(method, path).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn the_nth_requests_are_met() {
    let mut plan = Plan::parse(
        "[[fault]]\nkind = \"500\"\nmethod = \"post\"\npath = \"/v2/images\"\nnth = 2\ntimes = 2\n\
         [[fault]]\nkind = \"404\"\npath = \"/v2/images/*\"\nforever = true\n\
         [[fault]]\nkind = \"import-hangs\"\nnth = 4\n",
    )
    .unwrap();
    let posts: Vec<_> = (0..5).map(|_| names(&mut plan, "POST", &IMAGES)).collect();
    assert_eq!(posts, [vec![], vec!["500"], vec!["500"], vec!["import-hangs"], vec![]]);
    assert!(names(&mut plan, "GET", &IMAGES).is_empty());
    for _ in 0..3 {
        assert_eq!(names(&mut plan, "DELETE", &["v2", "images", "7"]), ["404"]);
    }
    assert!(names(&mut plan, "GET", &["v2", "images", "7", "actions"]).is_empty());
}

#[test]
fn every_kind_is_known_by_the_name_that_the_log_shows() {
    for name in [
        "400",
        "401",
        "403",
        "404",
        "409",
        "422",
        "429",
        "500",
        "502",
        "503",
        "504",
        "cut-before",
        "cut-after",
        "two-documents",
        "create-without-id",
        "import-hangs",
        "import-fails",
        "import-changes-id",
        "list-lags",
        "action-errors",
        "action-hangs",
    ] {
        let plan = Plan::parse(&format!("[[fault]]\nkind = {name:?}")).unwrap();
        assert_eq!(plan.faults[0].kind.name(), name);
    }
}

#[test]
fn settings_reach_the_trouble() {
    let text = "[[fault]]\nkind = \"429\"\nretry-after = 7\neffect = true\nmessage = \"no\"";
    let mut plan = Plan::parse(text).unwrap();
    let (_, trouble) = plan.meet("GET", &IMAGES).remove(0);
    let message = Some("no".to_owned());
    assert_eq!(
        trouble,
        Trouble::Answer { status: 429, message, retry_after: Some(7), effect: true }
    );
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (text, line, said) in [
        ("[[fault]]\nkind = \"500\"\nnht = 2", 3, "nht"),
        ("\n[fualt]\n", 2, "fualt"),
        ("[[fault]]\nkind = \"418\"", 2, "418"),
        ("[[fault]]\nnth = 1", 1, "kind"),
        ("[[fault]]\nkind = \"500\"\n\nnth = 0", 4, "nth"),
        ("[[fault]]\nkind = \"500\"\ntimes = 0", 3, "times"),
        ("[[fault]]\nkind = \"500\"\ntimes = 1\nforever = true", 4, "times"),
        ("[[fault]]\nkind = \"500\"\nretry-after = 1", 3, "retry-after"),
        ("[[fault]]\nkind = \"cut-after\"\neffect = true", 3, "effect"),
        ("[[fault]]\nkind = \"504\"\nmessage = \"x\"", 3, "message"),
        ("[[fault]]\nkind = \"500\"\nlag = 1", 3, "lag"),
        ("[[fault]]\nkind = \"list-lags\"\nlag = -1.0", 3, "lag"),
        ("[[fault]]\nkind = \"500\"\npath = \"v2\"", 3, "slash"),
        ("[[fault]]\nkind = \"500\"\nmethod = \"FETCH\"", 3, "\"FETCH\" is no method"),
        ("[[bucket]]\nkind = \"500\"\n\npath = \"/x\"", 4, "path"),
        ("[[bucket]]\nkind = \"404\"", 2, "404"),
        ("[[bucket]]\nkind = \"500\"\noperation = \"fly\"", 3, "fly"),
        ("[[bucket]]\nkind = \"500\"\npart = 2", 3, "part"),
        ("[[bucket]]\nkind = \"500\"\nnth = 0", 3, "nth"),
        ("[[bucket]]\nkind = \"500\"\ntimes = 1\nforever = true", 4, "times"),
        ("[[bucket]]\nkind = \"500\"\nretry-after = 1", 3, "retry-after"),
        ("[[bucket]]\nkind = \"500\"\nrate = 1", 3, "rate"),
        ("[[bucket]]\nkind = \"500\"\nsilent = true", 3, "silent"),
        ("[[bucket]]\nkind = \"slow\"", 1, "rate"),
        ("[[bucket]]\nkind = \"slow\"\nrate = 0", 3, "rate"),
        ("[[bucket]]\nkind = \"slow\"\nrate = 1\noperation = \"get-object\"", 4, "put-object"),
        ("[[bucket]]\nkind = \"cut-after\"\neffect = true", 3, "effect"),
        ("[[bucket]]\nkind = \"bucket-vanishes\"\nforever = true", 3, "forever"),
        ("[[bucket]]\nkind = \"lying-etag\"\noperation = \"upload-part\"", 3, "own"),
        ("[[fault]]\nkind = \"500\"\n[[fault]]\nkind = \"list-lags\"\nmethod = \"GET\"", 3, "own"),
    ] {
        let error = Plan::parse(text).unwrap_err();
        assert!(error.contains(&format!("line {line}")), "{text}: {error}");
        assert!(error.contains(said), "{text}: {error}");
    }
}

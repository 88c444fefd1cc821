use super::*;
use crate::piece::node::raw_cid;

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";

fn root() -> String {
    raw_cid(b"abc").to_string()
}

fn parsed(query: &str, accept: Option<&str>) -> Result<Request, GatewayError> {
    Request::parse(&root(), query, accept)
}

fn format(query: &str, accept: Option<&str>) -> Result<Format, u16> {
    let parsed = parsed(query, accept);
    parsed.map(|request| request.format).map_err(|error| error.status())
}

fn car(duplicates: Option<bool>) -> Result<Format, u16> {
    Ok(Format::Car(CarForm { duplicates }))
}

#[test]
fn the_url_or_the_header_says_which_form_and_the_url_wins() {
    for (query, accept, expected) in [
        ("format=raw", None, Ok(Format::Raw)),
        ("format=car", None, car(None)),
        ("", Some(RAW), Ok(Format::Raw)),
        ("", Some(CAR), car(None)),
        ("format=raw", Some(CAR), Ok(Format::Raw)),
        ("format=car", Some(RAW), car(None)),
        ("format=", Some(RAW), Ok(Format::Raw)),
        ("", Some("Application/Vnd.IPLD.Raw"), Ok(Format::Raw)),
        (
            "",
            Some("text/html, application/vnd.ipld.raw;q=0.5, */*;q=0.8"),
            Ok(Format::Raw),
        ),
        (
            "",
            Some("application/vnd.ipld.car;q=0.5, application/vnd.ipld.raw"),
            Ok(Format::Raw),
        ),
        (
            "",
            Some("application/vnd.ipld.raw;q=0, application/vnd.ipld.car"),
            car(None),
        ),
    ] {
        assert_eq!(format(query, accept), expected, "{query} {accept:?}");
    }
}

#[test]
fn without_a_form_it_is_a_bad_request_and_one_that_is_not_given_is_not_acceptable() {
    for accept in [
        None,
        Some(""),
        Some("*/*"),
        Some("text/html,application/xhtml+xml,*/*;q=0.8"),
    ] {
        assert_eq!(parsed("", accept), Err(GatewayError::NoFormat), "{accept:?}");
    }
    for (query, accept) in [
        ("", Some("text/html")),
        ("", Some("application/vnd.ipfs.ipns-record")),
        ("", Some("application/vnd.ipld.raw;q=0")),
        ("", Some("application/vnd.ipld.car;version=2")),
        ("", Some("application/vnd.ipld.car;order=bfs")),
        ("", Some("application/vnd.ipld.car;dups=maybe")),
        ("format=dag-json", Some(RAW)),
        ("format=tar", None),
        ("format=car", Some("application/vnd.ipld.car;version=2")),
        ("format=car&car-version=2", None),
        ("format=car&car-order=bfs", None),
        ("format=car&car-dups=maybe", None),
    ] {
        assert_eq!(format(query, accept), Err(406), "{query} {accept:?}");
    }
}

#[test]
fn a_cars_parameters_come_from_the_header_and_from_the_url_before_it() {
    let of = |parameters: &str| format!("{CAR};{parameters}");
    for (query, accept, expected) in [
        ("", of("version=1;order=dfs;dups=y"), Some(true)),
        ("", of(" version=1; order=dfs; dups=n"), Some(false)),
        ("", of("order=unk"), None),
        ("", of("order=;dups="), None),
        ("", of("dups=\"y\""), Some(true)),
        ("format=car", of("version=1; order=dfs; dups=y"), Some(true)),
        ("format=car&car-dups=n", of("dups=y"), Some(false)),
        ("car-dups=y", of("dups=n"), Some(true)),
        (
            "format=car&car-version=1&car-order=dfs&car-dups=y",
            of("version=2"),
            Some(true),
        ),
        ("", format!("{CAR};order=foo, {CAR};order=dfs;dups=y;q=0.5"), Some(true)),
    ] {
        assert_eq!(format(query, Some(&accept)), car(expected), "{query} {accept}");
    }
}

#[test]
fn the_answer_says_its_form_whole() {
    let type_of = |query: &str, accept| parsed(query, accept).map(|request| request.content_type());
    assert_eq!(type_of("format=raw", None), Ok("application/vnd.ipld.raw"));
    assert_eq!(
        type_of("", Some(CAR)),
        Ok("application/vnd.ipld.car; version=1; order=dfs; dups=n")
    );
    assert_eq!(
        type_of("format=car&car-dups=y", None),
        Ok("application/vnd.ipld.car; version=1; order=dfs; dups=y")
    );
}

#[test]
fn a_scope_is_of_cars_alone_and_a_range_is_one_of_the_entity() {
    let scope = |query: &str| {
        parsed(query, None)
            .map(|request| request.scope)
            .map_err(|error| error.status())
    };
    let bytes = |text: &str| Ok(Scope::Entity(text.parse().unwrap()));
    for (query, expected) in [
        ("format=car", Ok(Scope::All)),
        ("format=car&dag-scope=all", Ok(Scope::All)),
        ("format=car&dag-scope=block", Ok(Scope::Block)),
        ("format=car&dag-scope=entity", bytes("0:*")),
        ("format=car&dag-scope=entity&entity-bytes=0:1000", bytes("0:1000")),
        ("format=car&entity-bytes=-1024%3A%2A", bytes("-1024:*")),
        ("format=car&dag-scope=all&entity-bytes=1:2", bytes("1:2")),
        ("format=car&dag-scope=banana", Err(400)),
        ("format=car&entity-bytes=5:2", Err(400)),
        ("format=car&entity-bytes=x", Err(400)),
        ("format=raw&dag-scope=banana&entity-bytes=x", Ok(Scope::Block)),
    ] {
        assert_eq!(scope(query), expected, "{query}");
    }
}

#[test]
fn a_cid_is_a_cid_and_a_file_has_nothing_below_it() {
    for path in ["", "abc", "..", "baga", &"b".repeat(1000), "bafkqaaa%20"] {
        let refused = Request::parse(path, "format=raw", None);
        assert!(matches!(refused, Err(GatewayError::Cid { .. })), "{path}");
    }
    let below = format!("{}/a/b.txt", root());
    let asked = |format: &str| Request::parse(&below, format, None);
    assert_eq!(asked("format=raw"), Err(GatewayError::PathOfBlock));
    let path = "a/b.txt".into();
    let refused = GatewayError::NoSuchPath { path };
    assert_eq!(refused.status(), 404);
    assert_eq!(asked("format=car").unwrap().check_path(), Err(refused));
    let slash = Request::parse(&format!("{}/", root()), "format=car", None);
    assert_eq!(slash.unwrap().check_path(), Ok(()));
    let long = "a".repeat(MAX_QUERY + 1);
    assert_eq!(parsed(&long, None), Err(GatewayError::Query { bytes: MAX_QUERY + 1 }));
}

#[test]
fn what_is_asked_for_otherwise_has_another_tag() {
    let tag = |query: &str| parsed(query, None).unwrap().etag();
    let queries = [
        "format=raw",
        "format=car",
        "format=car&car-dups=y",
        "format=car&dag-scope=block",
        "format=car&dag-scope=entity",
        "format=car&entity-bytes=0:5",
        "format=car&entity-bytes=0:6",
    ];
    let tags: alloc::collections::BTreeSet<String> = queries.iter().map(|query| tag(query)).collect();
    assert_eq!(tags.len(), queries.len());
    assert!(tags
        .iter()
        .all(|tag| tag.starts_with('"') && tag.ends_with('"') && tag.contains(&root())));
    assert_eq!(tag("format=car"), tag("format=car&dag-scope=all&car-dups=n"));
}

#[test]
fn a_download_is_named_after_the_cid_or_as_the_client_wishes() {
    let of = |query: &str| parsed(query, None).unwrap().disposition();
    assert_eq!(of("format=raw"), format!("attachment; filename=\"{}.bin\"", root()));
    assert_eq!(of("format=car"), format!("attachment; filename=\"{}.car\"", root()));
    assert_eq!(
        of("format=raw&filename=foobar.bin"),
        "attachment; filename=\"foobar.bin\""
    );
    assert_eq!(
        of("format=raw&filename=%C3%A4%22%0D%0A.txt"),
        "attachment; filename=\"____.txt\"; filename*=UTF-8''%C3%A4%22%0D%0A.txt"
    );
    assert!(of(&format!("format=raw&filename={}", "x".repeat(3000))).len() < 300);
}

#[test]
fn an_answer_that_the_header_chose_says_which_url_chooses_it() {
    assert_eq!(parsed("format=raw", Some(RAW)).unwrap().location(), None);
    let location = |query: &str, accept: &str| parsed(query, Some(accept)).unwrap().location().unwrap();
    assert_eq!(location("", RAW), format!("/ipfs/{}?format=raw", root()));
    for query in ["", "dag-scope=block", "entity-bytes=3:5"] {
        let location = location(query, CAR);
        let (path, query_of_location) = location.strip_prefix("/ipfs/").unwrap().split_once('?').unwrap();
        let again = Request::parse(path, query_of_location, None).unwrap();
        assert_eq!(again.etag(), parsed(query, Some(CAR)).unwrap().etag(), "{location}");
    }
}

#[test]
fn each_block_once_is_what_is_usual_and_has_a_bound() {
    let of = |query: &str, blocks| parsed(query, None).unwrap().duplicates(blocks);
    assert_eq!(of("format=car", MAX_REMEMBERED), Ok(false));
    assert_eq!(of("format=car&car-dups=n", 1), Ok(false));
    let blocks = MAX_REMEMBERED + 1;
    let refused = Err(GatewayError::TooManyToRemember { blocks });
    assert_eq!(of("format=car", blocks), refused);
    assert_eq!(of("format=car&car-dups=y", u64::MAX), Ok(true));
}

#[test]
fn the_empty_cid_is_known_to_be_its_own_bytes() {
    let of = |cid: &str| Request::parse(cid, "format=raw", None).unwrap();
    assert_eq!(of("bafkqaaa").identity(), Some(&[][..]));
    let hello = of("bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa");
    assert_eq!(hello.identity(), Some(&b"hello i am inlined cid\n"[..]));
    assert_eq!(of(&root()).identity(), None);
}

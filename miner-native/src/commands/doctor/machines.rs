//! What a miner of several machines needs beside its home: the server of its records and the storage of its pieces and sectors.
//!
//! The server is only read, and nothing is made there. Both may be gone without a word: each is asked on a thread of its own, for a while.

use super::finding::{storage_disk, Finding};
use super::free;
use crate::configuration::DatabaseOptions;
use sealdrop_database::jobs::MachineView;
use sealdrop_database::DatabaseError;
use sealdrop_miner::data_dir::DataDir;
use sealdrop_miner::machines::{
    check_brought, check_new_storage, check_storage, storage_id, DatabaseUrl, Leading, MachinesError,
};
use sealdrop_miner::prover::elsewhere::{is_awake, untaken};
use sealdrop_miner::prover::Step;
use sealdrop_miner::storage_check::probe;
use sealdrop_miner::store::server_of;
use shared::piece::SectorSize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the server and the storage may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Machines that are named.
const NAMED: usize = 20;

/// What the server said.
struct Told {
    storage_id: Option<String>,
    leader: Option<String>,
    machines: Vec<MachineView>,
}

/// By what the storage is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    Known(String),
    /// No daemon has led yet.
    NotMade,
    /// The server did not say it.
    Untold,
}

/// Whether pieces and sectors lie in the home.
pub fn has_sectors(options: &DatabaseOptions, home: &DataDir) -> bool {
    let storage = options.storage.as_ref().filter(|_| options.database.is_some());
    storage.is_none_or(|storage| *storage == home.miner())
}

/// Looks at server and storage, where the records are on a server; which daemon leads.
/// With an archive each daemon has a storage of its own unless one is named, and that has no mark.
pub async fn examine(
    options: &DatabaseOptions,
    home: &DataDir,
    (size, has_archive): (Option<SectorSize>, bool),
    found: &mut Vec<Finding>,
) -> Option<String> {
    let Some(url) = options.database.clone() else {
        found.extend(unnamed(home));
        return None;
    };
    if let Err(error) = url.check() {
        found.push(Finding::wrong(
            "database",
            format!("database.url: {error}"),
            "correct it",
        ));
        return None;
    }
    let place = url.to_string();
    let (findings, mark, leader) = judged(&place, within(ANSWER, move || ask(&url)).await);
    found.extend(findings);
    let own = home.miner();
    // Without a storage of its own the home has the mark, from the first daemon that leads on.
    let dir = match (&options.storage, &mark) {
        (Some(dir), _) => Some(dir.clone()),
        (None, Mark::Known(_)) if !has_archive => Some(own.clone()),
        (None, _) => None,
    };
    if let Some(dir) = dir {
        let size = size.filter(|_| !has_sectors(options, home));
        found.extend(storage(dir, own, mark, size).await);
    }
    leader
}

/// A home whose records are on a server that nobody names.
fn unnamed(home: &DataDir) -> Option<Finding> {
    let server = server_of(&home.miner().join("store")).ok()??;
    let server = server.lines().next().unwrap_or_default();
    let text = format!("the miner's records are on {server}, and no configuration that is seen here names it");
    let advice =
        "name it by SEALDROP_DATABASE_URL, or the daemon's file by SEALDROP_CONFIG: server and storage are not looked at";
    Some(Finding::warning("database", text, advice))
}

/// What `work` returns; none when it takes longer, and is left behind.
async fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await;
    done.ok()?.ok()
}

/// Asks the server; none when no daemon has kept anything there yet. Blocks its thread.
fn ask(url: &DatabaseUrl) -> Result<Option<Told>, MachinesError> {
    let Some(jobs) = url.jobs_there()? else {
        return Ok(None);
    };
    Ok(Some(Told {
        storage_id: storage_id(&jobs)?,
        leader: Leading::holder(&jobs)?,
        machines: jobs.machines()?,
    }))
}

/// What there is to say of the server's answer, by what the storage is known, and who leads.
fn judged(place: &str, answer: Option<Result<Option<Told>, MachinesError>>) -> (Vec<Finding>, Mark, Option<String>) {
    let told = match answer {
        Some(Ok(Some(told))) => told,
        Some(Ok(None)) => {
            let text = format!("{place} answers, and no daemon has kept anything there yet");
            let advice = "the first start of `sealdrop daemon` brings there what the home keeps";
            return (vec![Finding::warning("database", text, advice)], Mark::NotMade, None);
        }
        Some(Err(error)) => {
            let reason = match error {
                MachinesError::Database(DatabaseError::Server { reason }) => reason,
                other => other.to_string(),
            };
            return (
                vec![away(&format!("{place} is not read: {reason}"))],
                Mark::Untold,
                None,
            );
        }
        None => {
            let text = format!("{place} does not answer within {} s", ANSWER.as_secs());
            return (vec![away(&text)], Mark::Untold, None);
        }
    };
    let mut found = vec![
        Finding::ok("database", format!("the miner's records are on {place}, which answers")),
        leader(told.leader.as_deref()),
        machines(&told.machines),
    ];
    found.extend(steps(&untaken(&told.machines), told.leader.is_some()));
    let mark = told.storage_id.map_or(Mark::NotMade, Mark::Known);
    (found, mark, told.leader)
}

fn away(text: &str) -> Finding {
    let advice = "start the server, or correct database.url: it has to be reached from here, and its user, password and database have to be right";
    Finding::wrong("database", text, advice)
}

/// Whether a daemon leads.
fn leader(holder: Option<&str>) -> Finding {
    match holder {
        Some(holder) => Finding::ok("leader", format!("the daemon at {holder} leads")),
        None => Finding::warning(
            "leader",
            "no daemon leads: nobody deals with clients and makes the proofs that are due",
            "start one with `sealdrop daemon`",
        ),
    }
}

/// Which machines seal.
fn machines(all: &[MachineView]) -> Finding {
    let (awake, silent): (Vec<&MachineView>, Vec<&MachineView>) = all.iter().partition(|view| is_awake(view));
    let fell_silent = match silent.is_empty() {
        true => String::new(),
        false => format!("; fell silent within a day: {}", names(&silent)),
    };
    match awake.is_empty() {
        true => Finding::warning(
            "machines",
            format!("no machine is there to seal{fell_silent}"),
            "start `sealdrop worker` where it is to be done, or a daemon with database.work",
        ),
        false => Finding::ok(
            "machines",
            format!("these take steps of sealing: {}{fell_silent}", names(&awake)),
        ),
    }
}

fn names(machines: &[&MachineView]) -> String {
    let named = machines.iter().take(NAMED).map(|view| view.machine.name.as_str());
    let named = named.collect::<Vec<_>>().join(", ");
    match machines.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The steps that no machine takes; a daemon that is still to start may take them itself.
fn steps(untaken: &[Step], is_led: bool) -> Option<Finding> {
    if untaken.is_empty() {
        return None;
    }
    let names: Vec<&str> = untaken.iter().map(|step| step.name()).collect();
    let text = format!("no machine takes {}, so nothing is sealed", names.join(", "));
    let advice = "start `sealdrop worker`, or set database.work";
    Some(match is_led {
        true => Finding::wrong("steps", text, advice),
        false => Finding::warning("steps", text, advice),
    })
}

/// Whether the storage is there, the right one, and takes files; where sectors of a size are to lie, whether there is room for them.
async fn storage(dir: PathBuf, own: PathBuf, mark: Mark, size: Option<SectorSize>) -> Vec<Finding> {
    let shown = dir.display().to_string();
    let looked = within(ANSWER, move || stored(&dir, &own, &mark, size)).await;
    looked.unwrap_or_else(|| {
        let text = format!("{shown} does not answer within {} s", ANSWER.as_secs());
        let advice = "look whether its server runs and is reached from here, and mount it anew";
        vec![Finding::wrong("storage", text, advice)]
    })
}

/// The same. Blocks its thread. Nothing is written to a folder that is another's.
fn stored(dir: &Path, own: &Path, mark: &Mark, size: Option<SectorSize>) -> Vec<Finding> {
    let shown = dir.display();
    let wrong = |text: String, advice: &str| vec![Finding::wrong("storage", text, advice)];
    let mount = "mount the storage, or name its folder by database.storage";
    match std::fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return wrong(format!("{shown} is no folder"), mount),
        Err(error) => return wrong(format!("{shown} is not reached: {error}"), mount),
    }
    let checked = match mark {
        Mark::Known(id) => check_storage(dir, id),
        Mark::NotMade => check_new_storage(dir).and_then(|()| check_brought(own, dir)),
        Mark::Untold => Ok(()),
    };
    if let Err(error) = checked {
        return wrong(
            error.to_string(),
            "no daemon starts and no worker seals here until then",
        );
    }
    if let Err(error) = probe(dir) {
        return wrong(
            error.to_string(),
            "all machines of a miner run as one user, who may write there",
        );
    }
    let of_mark = match mark {
        Mark::Known(_) => Finding::ok(
            "storage",
            format!("{shown} takes files, and has the mark of this database"),
        ),
        Mark::NotMade => Finding::ok(
            "storage",
            format!("{shown} takes files; the first daemon that leads marks it"),
        ),
        Mark::Untold => Finding::warning(
            "storage",
            format!("{shown} takes files, and whether it is this database's is not known"),
            "have the database answer first",
        ),
    };
    let room = size.map(|size| free(dir, |place, free| storage_disk(place, free, size)));
    std::iter::once(of_mark).chain(room).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use sealdrop_database::jobs::Machine;
    use std::time::Instant;

    fn home(dir: &Path) -> DataDir {
        DataDir::open(Some(dir.to_owned())).expect("it is a folder")
    }

    fn view(name: &str, silent_ms: u64, kinds: &[&str]) -> MachineView {
        MachineView {
            machine: Machine {
                name: name.to_owned(),
                cores: 8,
                memory: 1 << 30,
                kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
                version: "0".to_owned(),
                keeps: None,
            },
            silent_ms,
            jobs: 0,
        }
    }

    fn told(leader: Option<&str>, machines: Vec<MachineView>) -> Option<Result<Option<Told>, MachinesError>> {
        Some(Ok(Some(Told {
            storage_id: Some("id".to_owned()),
            leader: leader.map(str::to_owned),
            machines,
        })))
    }

    fn described(findings: &[Finding]) -> String {
        let lines = findings.iter().map(Finding::described);
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_soon_and_without_its_password() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let options = DatabaseOptions {
            database: "postgres://miner:SECRET@127.0.0.1:1/deals".parse().ok(),
            storage: Some(dir.path().join("none")),
            database_work: None,
        };
        let (mut found, began) = (Vec::new(), Instant::now());
        let leader = examine(&options, &home(dir.path()), (None, false), &mut found).await;
        assert!(began.elapsed() < Duration::from_secs(10) && leader.is_none());
        let shown = described(&found);
        assert!(
            shown.contains("127.0.0.1") && shown.contains("deals") && !shown.contains("SECRET"),
            "{shown}"
        );
        let levels: Vec<_> = found.iter().map(|finding| (finding.check, finding.level)).collect();
        assert_eq!(
            levels,
            [("database", Level::Wrong), ("storage", Level::Wrong)],
            "{shown}"
        );
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_told_without_its_password() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let options = DatabaseOptions {
            database: "postgres://miner:SECRET@x@db/deals".parse().ok(),
            ..DatabaseOptions::default()
        };
        let mut found = Vec::new();
        examine(&options, &home(dir.path()), (None, false), &mut found).await;
        let shown = described(&found);
        assert!(shown.contains("%40") && !shown.contains("SECRET"), "{shown}");
    }

    #[tokio::test]
    async fn a_home_whose_records_are_on_a_server_that_nobody_names_is_told() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = home(dir.path());
        let mut found = Vec::new();
        examine(&DatabaseOptions::default(), &home, (None, false), &mut found).await;
        assert!(found.is_empty(), "{found:?}");
        let store = home.miner().join("store");
        std::fs::create_dir_all(&store).expect("there is room");
        std::fs::write(store.join("on-server"), "postgres db deals\nid").expect("there is room");
        examine(&DatabaseOptions::default(), &home, (None, false), &mut found).await;
        let shown = described(&found);
        assert!(
            shown.contains("on postgres db deals,") && shown.contains("SEALDROP_DATABASE_URL"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn what_does_not_answer_is_left_behind() {
        let (answers, waits) = std::sync::mpsc::channel::<()>();
        let asked = within(Duration::from_millis(10), move || waits.recv()).await;
        assert!(asked.is_none());
        drop(answers);
        let (findings, mark, _) = judged("db", None);
        assert_eq!((findings[0].level, mark), (Level::Wrong, Mark::Untold));
    }

    #[test]
    fn a_server_on_which_no_daemon_has_kept_anything_waits_for_the_first() {
        let (findings, mark, _) = judged("db", Some(Ok(None)));
        assert_eq!((findings[0].level, mark), (Level::Warning, Mark::NotMade));
    }

    #[test]
    fn steps_that_no_machine_takes_are_told() {
        let all = ["pre-commit-1", "pre-commit-2", "commit-1", "commit-2-own"];
        let levels = |answer| -> Vec<(&'static str, Level)> {
            let (findings, ..) = judged("db", answer);
            findings.iter().map(|finding| (finding.check, finding.level)).collect()
        };
        let well = [("database", Level::Ok), ("leader", Level::Ok), ("machines", Level::Ok)];
        assert_eq!(levels(told(Some("a (process 1)"), vec![view("one", 9, &all)])), well);
        let (findings, ..) = judged(
            "db",
            told(
                Some("a (process 1)"),
                vec![view("one", 9, &all[..2]), view("two", 100_000, &all)],
            ),
        );
        let shown = described(&findings);
        for words in [
            "the daemon at a (process 1) leads",
            "steps of sealing: one; fell silent within a day: two",
        ] {
            assert!(shown.contains(words), "{words:?} is missing in {shown}");
        }
        let lacking = findings.last().expect("there is one");
        assert_eq!((lacking.check, lacking.level), ("steps", Level::Wrong));
        assert!(
            lacking.text.contains("commit 2, commit 1,") && !lacking.text.contains("pre-commit"),
            "{shown}"
        );
        // A daemon that is still to start may do them.
        let idle = [
            ("database", Level::Ok),
            ("leader", Level::Warning),
            ("machines", Level::Warning),
            ("steps", Level::Warning),
        ];
        assert_eq!(levels(told(None, Vec::new())), idle);
    }

    #[test]
    fn a_storage_without_its_mark_is_told() {
        let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let known = Mark::Known("id".to_owned());
        let look = |mark: &Mark| stored(dir.path(), own.path(), mark, Some(SectorSize::S2KiB));
        let found = look(&known);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].level, Level::Wrong);
        assert!(found[0].text.contains("no mark"), "{}", found[0].text);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is written there"
        );
        std::fs::write(dir.path().join("storage.id"), "id").unwrap();
        let found = look(&known);
        let checks: Vec<_> = found.iter().map(|finding| finding.check).collect();
        assert_eq!((checks, found[0].level), (vec!["storage", "disk"], Level::Ok));
        assert_eq!(look(&Mark::Untold)[0].level, Level::Warning);
        // A new database takes none that is another's.
        assert_eq!(look(&Mark::NotMade)[0].level, Level::Wrong);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "the mark alone is left"
        );
    }

    #[test]
    fn a_storage_to_which_the_homes_sectors_were_not_brought_is_told() {
        let (dir, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let look = || stored(dir.path(), own.path(), &Mark::NotMade, None);
        assert_eq!(look()[0].level, Level::Ok);
        std::fs::create_dir_all(own.path().join("sectors/1")).unwrap();
        let found = look();
        assert_eq!(found[0].level, Level::Wrong);
        assert!(found[0].text.contains("bring them"), "{}", found[0].text);
    }
}

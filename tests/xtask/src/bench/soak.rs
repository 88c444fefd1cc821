//! `cargo xtask bench soak`: a daemon with deals that arrive all the time, hostile peers and bad luck, for hours. What befalls it and
//! which rules must hold says `tests/src/soak`, which is a program of its own.

use anyhow::{bail, Context, Result};

use crate::nightly;
use crate::process;
use crate::project::Project;

const USAGE: &str = "usage: cargo xtask bench soak [--hours N | --minutes N]";
/// Minutes unless others are named: what the nightly command takes for it.
pub const USUAL: &str = "30";

/// Soaks for the time that is named.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let minutes = minutes(args)?;
    process::stage("bench: soak", || nightly::tool(project, "soak", &[&minutes]))
}

fn minutes(args: &[String]) -> Result<String> {
    match args {
        [] => Ok(USUAL.to_owned()),
        [unit, number] => {
            let number: u64 = number
                .parse()
                .with_context(|| format!("{number:?} is no number\n{USAGE}"))?;
            match unit.as_str() {
                "--hours" => Ok((number * 60).to_string()),
                "--minutes" => Ok(number.to_string()),
                _ => bail!("{USAGE}"),
            }
        }
        _ => bail!("{USAGE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_named_in_hours_or_minutes() {
        let minutes = |text: &str| minutes(&text.split_whitespace().map(String::from).collect::<Vec<_>>()).ok();
        assert_eq!(minutes("--hours 2").as_deref(), Some("120"));
        assert_eq!(minutes("--minutes 10").as_deref(), Some("10"));
        assert_eq!(minutes("").as_deref(), Some(USUAL));
        assert_eq!(minutes("--hours"), None);
        assert_eq!(minutes("2"), None);
        assert_eq!(minutes("--hours two"), None);
    }
}

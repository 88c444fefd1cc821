//! Databases of their own on the server that `SEALDROP_POSTGRES` names.

use postgres::{Client, NoTls};

/// A new, empty database called `name` for this process; how it is reached. `None` where no server is named.
pub fn database(name: &str) -> Option<String> {
    let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
        eprintln!("left out: SEALDROP_POSTGRES names no server");
        return None;
    };
    let name = format!("{name}_{}", std::process::id());
    let mut client = Client::connect(&url, NoTls).expect("the server answers");
    client
        .batch_execute(&format!("CREATE DATABASE \"{name}\""))
        .expect("a database can be made");
    // The last of two of the same name counts.
    Some(format!("{url} dbname={name}"))
}

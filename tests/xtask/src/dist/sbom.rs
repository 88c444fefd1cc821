//! What is compiled into the program and the page's modules, as a bill of materials (CycloneDX 1.5, JSON).
//!
//! Written here from what cargo and npm have locked. The tool cargo-cyclonedx writes one for each crate, into its folder and with the time of the
//! day: its result could not be the same twice, and installing it takes longer than all of this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use super::Release;
use crate::process;
use crate::project::Project;

/// What the page's modules are compiled for.
const BROWSER: &str = "wasm32-unknown-unknown";
/// What begins the names of the page's modules' crates, by the folder that they lie in.
const OF_THE_BROWSER: &str = "/client-wasm";
/// The packages whose code is in the page.
const NPM: [&str; 2] = ["www", "client-wasm"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    repository: Option<String>,
    /// Where it comes from; none for the workspace's own.
    #[serde(default)]
    source: Option<String>,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None of what is linked, `build` and `dev` of the others.
    kind: Option<String>,
}

/// A component: what it says of itself, and the references of those that it needs.
#[derive(Debug, Clone, Default, PartialEq)]
struct Component {
    said: Value,
    needs: BTreeSet<String>,
}

type Components = BTreeMap<String, Component>;

/// The bill.
pub(super) fn of(project: &Project, release: &Release) -> Result<Vec<u8>> {
    let digests =
        lock_digests(&fs::read_to_string(project.root.join("Cargo.lock")).context("cannot read Cargo.lock")?)?;
    let mut all = Components::new();
    let native = metadata(project, &release.target)?;
    let root = linked(&native, |package| package.name == "sealdrop", &digests, &mut all);
    let browser = metadata(project, BROWSER)?;
    let is_module = |package: &Package| package.source.is_none() && package.manifest_path.contains(OF_THE_BROWSER);
    let mut roots = root.clone();
    roots.extend(linked(&browser, is_module, &digests, &mut all));
    for package in NPM {
        let lock = project.root.join(package).join("package-lock.json");
        let text = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
        roots.extend(bundled(&text, &mut all)?);
    }
    let bill = bill(release, &roots, &all)?;
    Ok(serde_json::to_vec_pretty(&bill)?)
}

fn metadata(project: &Project, target: &str) -> Result<Metadata> {
    let mut cargo = project.cargo();
    cargo.args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        target,
    ]);
    let told = process::answer(&mut cargo).context("cargo does not say what the program is made of")?;
    serde_json::from_str(&told).context("cargo says what it is made of in another form than before")
}

/// Adds the packages that `is_root` names, and whatever is linked into them; gives the references of the former.
fn linked(
    metadata: &Metadata,
    is_root: impl Fn(&Package) -> bool,
    digests: &BTreeMap<(String, String), String>,
    all: &mut Components,
) -> BTreeSet<String> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|one| (one.id.as_str(), one)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let roots: Vec<&Package> = metadata.packages.iter().filter(|package| is_root(package)).collect();
    let mut open: Vec<&str> = roots.iter().map(|package| package.id.as_str()).collect();
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        let Some(package) = packages.get(id) else { continue };
        let is_linked = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let needs: Vec<&str> = nodes
            .get(id)
            .into_iter()
            .flat_map(|node| node.deps.iter().filter(is_linked))
            .map(|dependency| dependency.pkg.as_str())
            .collect();
        let component = all.entry(reference(package)).or_insert_with(|| Component {
            said: described(package, digests),
            needs: BTreeSet::new(),
        });
        component.needs.extend(
            needs
                .iter()
                .filter_map(|id| packages.get(id))
                .map(|package| reference(package)),
        );
        open.extend(needs.into_iter().filter(|id| seen.insert(id)));
    }
    roots.into_iter().map(reference).collect()
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn described(package: &Package, digests: &BTreeMap<(String, String), String>) -> Value {
    let digest = digests.get(&(package.name.clone(), package.version.clone()));
    component(
        &reference(package),
        &package.name,
        &package.version,
        package.license.as_deref(),
        digest.map(|digest| json!([{ "alg": "SHA-256", "content": digest }])),
        package.repository.as_deref(),
    )
}

fn component(
    reference: &str,
    name: &str,
    version: &str,
    license: Option<&str>,
    hashes: Option<Value>,
    repository: Option<&str>,
) -> Value {
    let mut said =
        json!({ "type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference });
    if let Some(license) = license {
        // An older form of "or", which SPDX does not have.
        let expression = license.replace(" / ", " OR ").replace('/', " OR ");
        said["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(hashes) = hashes {
        said["hashes"] = hashes;
    }
    if let Some(url) = repository {
        said["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
    }
    said
}

/// The digests of packages' files, by name and version.
fn lock_digests(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock has another form than before")?;
    let digests = lock.package.into_iter().filter_map(|package| {
        let Locked {
            name,
            version,
            checksum,
        } = package;
        Some(((name, version), checksum?))
    });
    Ok(digests.collect())
}

/// Adds the npm packages that are no tools of the build; gives their references.
fn bundled(lock: &str, all: &mut Components) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Lock {
        packages: BTreeMap<String, Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        version: Option<String>,
        #[serde(default)]
        dev: bool,
        #[serde(default)]
        peer: bool,
        #[serde(default)]
        link: bool,
        license: Option<String>,
    }
    let lock: Lock = serde_json::from_str(lock).context("package-lock.json has another form than before")?;
    let mut found = BTreeSet::new();
    for (path, package) in lock.packages {
        let Some((_, name)) = path.rsplit_once("node_modules/") else {
            continue;
        };
        let (Some(version), false) = (package.version, package.dev || package.peer || package.link) else {
            continue;
        };
        let reference = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
        let said = component(&reference, name, &version, package.license.as_deref(), None, None);
        all.entry(reference.clone()).or_insert_with(|| Component {
            said,
            needs: BTreeSet::new(),
        });
        found.insert(reference);
    }
    Ok(found)
}

fn bill(release: &Release, roots: &BTreeSet<String>, all: &Components) -> Result<Value> {
    let name = release.name();
    let mut dependencies = vec![json!({ "ref": name, "dependsOn": roots })];
    dependencies.extend(
        all.iter()
            .map(|(reference, component)| json!({ "ref": reference, "dependsOn": component.needs })),
    );
    let components: Vec<&Value> = all.values().map(|component| &component.said).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(&name, &components)?,
        "version": 1,
        "metadata": {
            "timestamp": timestamp(release.time),
            "component": {
                "type": "application", "bom-ref": name, "name": "sealdrop", "version": release.version,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
            "properties": [{ "name": "sealdrop:target", "value": release.target }],
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A number of its own for each content: a UUID of version 8, whose bits are ours to choose.
fn serial(name: &str, components: &[&Value]) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update(serde_json::to_vec(components)?);
    let digest = hex::encode(hasher.finalize());
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    Ok(format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    ))
}

/// Seconds since 1970 as RFC 3339 has them, in UTC.
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of the civil calendar, counted from the first of March of a year that begins an era of 400.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;

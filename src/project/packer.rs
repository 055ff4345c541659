use std::path::PathBuf;

use serde::Deserialize;

use crate::bytes::Hostile;

/// What Packer says to its children of the run that they are part of.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Run {
    /// `PACKER_RUN_UUID`; without it the last run of the manifest counts.
    pub uuid: Option<String>,
    /// `PACKER_BUILD_NAME`; without it the run has to have one build.
    pub build: Option<String>,
}

/// What a build left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// The build's name.
    pub build: String,
    /// Its files, as Packer names them: from the folder that Packer runs in.
    pub files: Vec<PathBuf>,
}

/// Why a manifest tells of no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is something else.
    #[error("it is no manifest of Packer's post-processor manifest ({0})")]
    Malformed(Hostile),
    /// It has no builds.
    #[error("it has no builds yet; {FIRST}")]
    NoBuilds,
    /// Other runs wrote it.
    #[error("it has no build of this run ({run}); {FIRST}")]
    NoRun {
        /// The run that was looked for.
        run: Hostile,
    },
    /// The run built other things.
    #[error("this run has no build \"{build}\" in it, but {others}; {FIRST}")]
    NoBuild {
        /// The build that was looked for.
        build: Hostile,
        /// Those that are there.
        others: String,
    },
    /// The run built several things.
    #[error("the run has several builds: {builds}; set PACKER_BUILD_NAME to one of them")]
    Several {
        /// Those that are there.
        builds: String,
    },
    /// The build left no files.
    #[error(
        "the build \"{build}\" left no files ({builder}); tidegate takes what builders such as qemu and file leave on \
         this machine"
    )]
    NoFiles {
        /// The build.
        build: Hostile,
        /// What made it.
        builder: Hostile,
    },
}

/// Where the post-processor has to stand.
const FIRST: &str = "put the post-processor \"manifest\" first in the same post-processors block, with this file as its output";

/// The file, as far as it matters here. Later versions of Packer may say more.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    builds: Option<Vec<Build>>,
    #[serde(default)]
    last_run_uuid: String,
}

#[derive(Deserialize)]
struct Build {
    name: String,
    #[serde(default)]
    builder_type: String,
    #[serde(default)]
    files: Option<Vec<File>>,
    #[serde(default)]
    packer_run_uuid: String,
}

#[derive(Deserialize)]
struct File {
    name: PathBuf,
}

/// The artifact of a run. The file keeps what earlier runs made; of the same build the last one counts.
///
/// # Errors
/// If it does not say which.
pub fn artifact(manifest: &[u8], run: &Run) -> Result<Artifact, ManifestError> {
    let malformed = |e: serde_json::Error| ManifestError::Malformed(e.to_string().as_str().into());
    // An array would do for a struct, too.
    if !manifest.trim_ascii_start().starts_with(b"{") {
        return Err(ManifestError::Malformed("it is no object".into()));
    }
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(malformed)?;
    let builds = manifest.builds.unwrap_or_default();
    if builds.is_empty() {
        return Err(ManifestError::NoBuilds);
    }
    let uuid = run.uuid.as_deref().unwrap_or(&manifest.last_run_uuid);
    let of_run: Vec<&Build> = builds.iter().filter(|one| one.packer_run_uuid == uuid).collect();
    let Some(last) = of_run.last() else {
        return Err(ManifestError::NoRun { run: uuid.into() });
    };
    let name = run.build.as_ref().unwrap_or(&last.name);
    let Some(build) = of_run.iter().rev().find(|one| one.name == *name) else {
        let build = name.as_str().into();
        return Err(ManifestError::NoBuild { build, others: names(&of_run) });
    };
    if run.build.is_none() && of_run.iter().any(|one| one.name != *name) {
        return Err(ManifestError::Several { builds: names(&of_run) });
    }
    let files: Vec<PathBuf> = build.files.iter().flatten().map(|file| file.name.clone()).collect();
    if files.is_empty() {
        return Err(ManifestError::NoFiles {
            build: name.as_str().into(),
            builder: build.builder_type.as_str().into(),
        });
    }
    Ok(Artifact { build: name.clone(), files })
}

fn names(builds: &[&Build]) -> String {
    let mut names: Vec<String> =
        builds.iter().map(|build| format!("\"{}\"", Hostile::from(build.name.as_str()))).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"builds": [
        {"name": "a", "builder_type": "qemu", "build_time": 1, "files": [{"name": "old/a", "size": 1}],
         "artifact_id": "VM", "packer_run_uuid": "r1", "custom_data": null},
        {"name": "a", "builder_type": "qemu", "files": [{"name": "out/a", "size": 1}, {"name": "out/b", "size": 2}],
         "packer_run_uuid": "r2"},
        {"name": "b", "builder_type": "null", "files": null, "packer_run_uuid": "r2"}], "last_run_uuid": "r2"}"#;

    fn of(uuid: Option<&str>, build: Option<&str>) -> Result<Artifact, ManifestError> {
        let run = Run { uuid: uuid.map(str::to_owned), build: build.map(str::to_owned) };
        artifact(MANIFEST.as_bytes(), &run)
    }

    #[test]
    fn the_artifact_of_this_run() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(of(None, Some("a")).unwrap().files, paths(&["out/a", "out/b"]));
        assert_eq!(of(Some("r1"), Some("a")).unwrap().files, paths(&["old/a"]));
        assert_eq!(of(Some("r1"), None).unwrap().build, "a");
        // Twice in one run: the last one.
        let twice = MANIFEST.replace("r1", "r2").replace("old/a", "later");
        let run = Run { uuid: None, build: Some("a".into()) };
        assert_eq!(artifact(twice.as_bytes(), &run).unwrap().files, paths(&["out/a", "out/b"]));
    }

    #[test]
    fn what_does_not_say_which() {
        let told = |result: Result<Artifact, ManifestError>| result.unwrap_err().to_string();
        assert!(told(of(Some("r3"), None)).contains("no build of this run (r3)"));
        assert!(told(of(None, Some("c"))).contains("no build \"c\" in it, but \"a\", \"b\""));
        assert!(told(of(None, None)).contains("several builds: \"a\", \"b\""));
        assert!(told(of(None, Some("b"))).contains("left no files (null)"));
        let run = Run::default();
        assert_eq!(artifact(b"{\"builds\": []}", &run), Err(ManifestError::NoBuilds));
        assert_eq!(artifact(b"{}", &run), Err(ManifestError::NoBuilds));
        for bad in [
            "",
            "[]",
            "7",
            "{\"builds\": [{}]}",
            "{\"builds\": [{\"name\": 7}]}",
            "{\"builds\": 7}",
        ] {
            let told = told(artifact(bad.as_bytes(), &run));
            assert!(told.starts_with("it is no manifest"), "{told}");
        }
    }
}

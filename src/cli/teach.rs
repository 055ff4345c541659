//! What the help and the manual say beyond the arguments themselves: groups, examples and exit codes.

use clap::{Command, CommandFactory};

use super::args::Cli;

/// The commands by what they are for, each with a few words.
const GROUPS: &[(&str, &[(&str, &str)])] = &[
    (
        "The gate",
        &[
            ("check", "would DigitalOcean take these images, and if not, why"),
            #[cfg(feature = "net")]
            ("push", "check an image, and bring it to DigitalOcean"),
            #[cfg(feature = "net")]
            ("sweep", "finish or undo what killed pushes left"),
            ("repack", "pack an image so that DigitalOcean takes it"),
            #[cfg(feature = "boot")]
            ("boot", "start an image as a Droplet would, and log in"),
            ("report", "one report of those of several checks"),
            ("explain", "what a finding means, and what to do about it"),
        ],
    ),
    (
        "Images",
        &[
            ("map", "where the disk's bytes are in an image"),
            ("compare", "whether two images hold the same disk"),
            ("inspect", "what is inside the disk: system, boot, logins, volumes"),
            ("ls", "list a directory inside the disk"),
            ("cat", "write a file inside the disk to standard output"),
            #[cfg(feature = "net")]
            ("image", "list, wait for, copy and delete images at DigitalOcean"),
        ],
    ),
    (
        "Projects",
        &[
            ("init", "write a tidegate.toml for the images of a repository"),
            ("config", "what counts for each image, and where it comes from"),
            ("verify-receipt", "whether a receipt of a check counts"),
        ],
    ),
    (
        "Help",
        &[
            #[cfg(feature = "net")]
            ("doctor", "whether token, network, clock and bucket are right"),
            #[cfg(feature = "simulator")]
            ("simulate", "a DigitalOcean on this machine, for tests"),
            ("completions", "completions for a shell"),
            ("man", "manual pages"),
        ],
    ),
];

/// A command with examples; exit codes where its description has none.
struct Lesson {
    path: &'static [&'static str],
    examples: &'static [&'static str],
    codes: &'static str,
}

const fn lesson(
    path: &'static [&'static str],
    codes: &'static str,
    examples: &'static [&'static str],
) -> Lesson {
    Lesson { path, examples, codes }
}

#[cfg(feature = "net")]
const API: &str =
    "Exit codes: 0 done, 2 wrong usage, 4 DigitalOcean refused or failed, 130 interrupted.";

const LESSONS: &[Lesson] = &[
    lesson(
        &[],
        "Exit codes: 0 accepted or done, 1 rejected, 2 wrong usage or configuration, 3 an image could not be read, 4 DigitalOcean or Spaces refused or failed, 5 an import failed, 130 interrupted.",
        &[
            "tidegate check disk.qcow2.gz",
            #[cfg(feature = "simulator")]
            "tidegate push disk.qcow2.gz --rehearse",
            "tidegate explain gzip-truncated",
        ],
    ),
    lesson(
        &["check"],
        "",
        &[
            "tidegate check disk.qcow2.gz",
            "tidegate check https://example.com/disk.img.bz2 --quick",
            "tidegate check disk.vmdk --strict --format json --output report.json",
            "tidegate check disk.raw --checksums SHA256SUMS --cache",
            "tidegate check --images-from images.txt --shard 0/8 --format json --output shard-0.json",
            "tidegate check build --jobs 4 --fail-fast",
            "tidegate check --packer-manifest packer-manifest.json",
            "tidegate check",
        ],
    ),
    lesson(
        &["repack"],
        "",
        &[
            "tidegate repack disk.raw.xz",
            "tidegate repack server.tar.gz server.img.gz",
            "tidegate repack disk.vmdk disk.img.gz",
            "tidegate repack https://example.com/disk.raw.zst",
            "tidegate repack - disk.img.gz --format json",
        ],
    ),
    #[cfg(feature = "boot")]
    lesson(
        &["boot"],
        "",
        &[
            "tidegate boot disk.qcow2.gz",
            "tidegate boot disk.raw --command true --format html --output boot.html",
        ],
    ),
    lesson(
        &["inspect"],
        "",
        &["tidegate inspect disk.qcow2", "tidegate inspect disk.raw.gz --format json"],
    ),
    lesson(
        &["ls"],
        "",
        &["tidegate ls disk.qcow2 /etc", "tidegate ls --long --volume 1 disk.qcow2 /"],
    ),
    lesson(
        &["cat"],
        "",
        &["tidegate cat disk.qcow2 /etc/os-release", "tidegate cat disk.qcow2.gz /etc/fstab"],
    ),
    lesson(&["map"], "", &["tidegate map disk.qcow2", "tidegate map disk.vhdx --format svg"]),
    lesson(&["compare"], "", &["tidegate compare disk.qcow2 disk.raw.gz"]),
    lesson(
        &["report"],
        "",
        &["tidegate report merge shard-0.json shard-1.json --output report.json"],
    ),
    lesson(
        &["report", "merge"],
        "",
        &[
            "tidegate report merge shard-0.json shard-1.json --output report.json",
            "tidegate report merge a.json b.json --images-from images.txt --format html --output report.html",
        ],
    ),
    lesson(
        &["explain"],
        "Exit codes: 0 explained, 2 there is no such finding.",
        &["tidegate explain", "tidegate explain qcow2-backing-file"],
    ),
    lesson(
        &["verify-receipt"],
        "",
        &[
            "tidegate verify-receipt disk.receipt.json",
            "tidegate verify-receipt disk.receipt.json disk.qcow2",
        ],
    ),
    lesson(&["init"], "", &["tidegate init"]),
    lesson(
        &["config"],
        "",
        &[
            "tidegate config",
            "tidegate config web --max-size 20GiB --strict",
            "tidegate config web --format json",
        ],
    ),
    lesson(&["completions"], "", &["tidegate completions bash", "tidegate completions zsh"]),
    lesson(&["man"], "", &["tidegate man check", "tidegate man --dir man1"]),
    #[cfg(feature = "net")]
    lesson(&["doctor"], "", &["tidegate doctor", "tidegate doctor --probe --format json"]),
    #[cfg(feature = "net")]
    lesson(
        &["push"],
        "",
        &[
            #[cfg(feature = "simulator")]
            "tidegate push disk.qcow2.gz --rehearse",
            "tidegate push disk.qcow2.gz --region fra1 --bucket my-images --transfer ams3,nyc3",
            "tidegate push https://example.com/disk.qcow2 --region fra1 --dry-run",
        ],
    ),
    #[cfg(feature = "net")]
    lesson(&["sweep"], "", &["tidegate sweep"]),
    #[cfg(feature = "net")]
    lesson(&["image"], "", &["tidegate image list --private", "tidegate image get 38413969"]),
    #[cfg(feature = "net")]
    lesson(
        &["image", "create"],
        "",
        &["tidegate image create https://example.com/disk.qcow2 --region fra1 --wait"],
    ),
    #[cfg(feature = "net")]
    lesson(&["image", "list"], API, &["tidegate image list --private --format json"]),
    #[cfg(feature = "net")]
    lesson(&["image", "get"], API, &["tidegate image get 38413969"]),
    #[cfg(feature = "net")]
    lesson(
        &["image", "wait"],
        "Exit codes: 0 available, 2 wrong usage, 4 no such image or the time is over, 5 its import failed, 130 interrupted.",
        &["tidegate image wait 38413969 --wait-timeout 2h"],
    ),
    #[cfg(feature = "net")]
    lesson(&["image", "update"], API, &["tidegate image update 38413969 --name web-2"]),
    #[cfg(feature = "net")]
    lesson(&["image", "delete"], "", &["tidegate image delete 38413969 --yes"]),
    #[cfg(feature = "net")]
    lesson(&["image", "convert"], API, &["tidegate image convert 38413969 --wait"]),
    #[cfg(feature = "net")]
    lesson(
        &["image", "transfer"],
        API,
        &["tidegate image transfer 38413969 --region ams3,nyc3 --wait"],
    ),
    #[cfg(feature = "net")]
    lesson(&["image", "actions"], API, &["tidegate image actions 38413969"]),
    #[cfg(feature = "simulator")]
    lesson(&["simulate"], "", &["tidegate simulate --env-file env --pace 0.1"]),
];

/// The arguments, with all that the help says beyond them.
pub(super) fn command() -> Command {
    let command = Cli::command().help_template(template());
    LESSONS.iter().fold(command, |command, lesson| taught(command, lesson.path, lesson))
}

fn taught(command: Command, path: &[&'static str], lesson: &Lesson) -> Command {
    match path {
        [] => command.after_help(examples(lesson)),
        [name, rest @ ..] => command.mut_subcommand(*name, |inner| taught(inner, rest, lesson)),
    }
}

fn examples(lesson: &Lesson) -> String {
    let codes =
        if lesson.codes.is_empty() { String::new() } else { format!("{}\n\n", lesson.codes) };
    let lines: String = lesson.examples.iter().map(|line| format!("\n  {line}")).collect();
    format!("{codes}Examples:{lines}")
}

/// The examples of a command, a line each, and its exit codes, for the manual.
pub(super) fn of(path: &[&str]) -> Option<(&'static [&'static str], &'static str)> {
    let lesson = LESSONS.iter().find(|lesson| lesson.path == path)?;
    Some((lesson.examples, lesson.codes))
}

fn template() -> String {
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (title, commands) in GROUPS {
        text += &format!("\n{title}:\n");
        for (name, does) in *commands {
            text += &format!("  {name:<15} {does}\n");
        }
    }
    text + "\nOptions:\n{options}\n\nThe help of each command says more.{after-help}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Command, path: &[&str], visit: &mut dyn FnMut(&Command, &[&str])) {
        visit(command, path);
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            each(inner, &[path, &[inner.get_name()]].concat(), visit);
        }
    }

    #[test]
    fn every_command_teaches() {
        let command = command();
        let groups = GROUPS.iter().flat_map(|(_, all)| all.iter().map(|(name, _)| *name));
        let mut grouped: Vec<&str> = groups.collect();
        let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        grouped.sort_unstable();
        known.sort_unstable();
        assert_eq!(grouped, known);
        let mut count = 0;
        each(&command, &[], &mut |command, path| {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n  tidegate "), "{path:?}");
            assert!(path == ["image"] || help.contains("Exit code"), "{path:?}: {help}");
            let first = help.lines().next().unwrap_or_default();
            assert!(first.len() > 10 && first.len() < 110, "{path:?}: {first}");
            count += 1;
        });
        assert_eq!(count, LESSONS.len(), "a lesson of no command");
    }

    #[test]
    fn examples_are_commands() {
        for lesson in LESSONS {
            for line in lesson.examples {
                let parsed = command().try_get_matches_from(line.split(' '));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }
}

//! The configuration of OpenSSH's server, as it reads it: sshd_config(5), servconf.c.
//!
//! Of lines with the same keyword the first one counts, but for lists; an `Include` stands for the files it names, in order;
//! lines in a `Match` block that holds come before all others.

use std::rc::Rc;

use super::super::super::fs::{Trouble, Why};
use super::super::super::tree::Tree;
use super::super::patterns;
use super::values::{self, Doubt};
use super::words::split;

/// Files that include each other are followed to this depth (SERVCONF_MAX_DEPTH of OpenSSH).
const MOST_DEPTH: usize = 16;

/// Files, lines and bytes that are read at most: each line is held against each user that is judged.
const MOST_FILES: usize = 1024;
const MOST_LINES: usize = 1 << 13;
const MOST_BYTES: usize = 256 << 10;

/// Words that the program of the server is searched for at most.
const MOST_DOUBTS: usize = 64;

/// Keywords of the whole server, which no `Match` block may have but one for all.
const GLOBAL: [&[u8]; 19] = [
    b"addressfamily",
    b"ciphers",
    b"compression",
    b"hostkey",
    b"hostkeyalgorithms",
    b"kexalgorithms",
    b"listenaddress",
    b"logingracetime",
    b"macs",
    b"maxstartups",
    b"permituserenvironment",
    b"pidfile",
    b"port",
    b"printmotd",
    b"strictmodes",
    b"syslogfacility",
    b"tcpkeepalive",
    b"usedns",
    b"usepam",
];

/// A line of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The keyword in lower case.
    pub(super) keyword: Vec<u8>,
    pub(super) words: Vec<Vec<u8>>,
    pub(super) path: Rc<[u8]>,
    pub(super) line: u32,
    /// The `Match` block that it is in.
    within: Option<usize>,
}

/// A `Match` block.
#[derive(Clone, Debug)]
struct Block {
    words: Vec<Vec<u8>>,
    /// The block that the file is included in.
    within: Option<usize>,
}

/// Who logs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    pub(super) name: &'a [u8],
    /// Names of the groups; `None` if these are not known.
    pub(super) groups: Option<&'a [&'a [u8]]>,
}

/// Whether a `Match` block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// It depends on where a connection comes from, or on what is not known.
    Perhaps,
}

/// What a configuration says.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    settings: Vec<Setting>,
    blocks: Vec<Block>,
    /// What no server starts with: where, and what.
    pub(super) faults: Vec<(Rc<[u8]>, u32, String)>,
    /// What only the program of the server can tell, and where it is; the first ones.
    pub(super) doubts: Vec<(Rc<[u8]>, u32, Doubt)>,
    files: usize,
    bytes: usize,
}

impl Config {
    /// Reads a configuration; `None` if there is no such file. Options of the command line come before it.
    ///
    /// # Errors
    /// If its files cannot be read, or are more than are read.
    pub(super) fn read(
        tree: &mut Tree<'_>,
        path: &[u8],
        options: &[Vec<u8>],
    ) -> Result<Option<Self>, Trouble> {
        let mut config = Config::default();
        let before: Rc<[u8]> = Rc::from(&b""[..]);
        for option in options {
            config.line(tree, &before, 0, option, &mut None, None, 0)?;
        }
        let is_there = config.file(tree, path, None, 0)?;
        Ok(is_there.then_some(config))
    }

    fn file(
        &mut self,
        tree: &mut Tree<'_>,
        path: &[u8],
        within: Option<usize>,
        depth: usize,
    ) -> Result<bool, Trouble> {
        let Some(text) = tree.text(path)? else { return Ok(false) };
        self.files += 1;
        self.bytes += text.bytes.len();
        if self.files > MOST_FILES || self.bytes > MOST_BYTES {
            return Err(Why::Limit("the configuration of sshd is longer than is read").into());
        }
        let path: Rc<[u8]> = Rc::from(path);
        let mut block = within;
        for (number, line) in text.lines() {
            self.line(tree, &path, number, line, &mut block, within, depth)?;
        }
        Ok(true)
    }

    #[expect(clippy::too_many_arguments, reason = "a line and where it is")]
    fn line(
        &mut self,
        tree: &mut Tree<'_>,
        path: &Rc<[u8]>,
        number: u32,
        line: &[u8],
        block: &mut Option<usize>,
        within: Option<usize>,
        depth: usize,
    ) -> Result<(), Trouble> {
        let Some((keyword, words)) = split(line) else { return Ok(()) };
        let mut keyword = keyword.to_ascii_lowercase();
        let Some(words) = words else {
            self.fault(path, number, "it has a quote that does not end");
            return Ok(());
        };
        match &keyword[..] {
            b"dsaauthentication" => keyword = b"pubkeyauthentication".to_vec(),
            b"challengeresponseauthentication" | b"skeyauthentication" => {
                keyword = b"kbdinteractiveauthentication".to_vec();
            }
            _ => {}
        }
        if self.settings.len() + self.blocks.len() >= MOST_LINES {
            return Err(Why::Limit("the configuration of sshd is longer than is read").into());
        }
        match &keyword[..] {
            b"match" => {
                self.blocks.push(Block { words, within });
                *block = Some(self.blocks.len() - 1);
            }
            b"include" => {
                if depth >= MOST_DEPTH {
                    self.fault(path, number, "files include each other more than 16 times");
                    return Ok(());
                }
                for word in words {
                    // Relative ones are beside sshd_config.
                    let pattern = match word.first() {
                        Some(b'/') => word,
                        _ => [b"/etc/ssh/", &word[..]].concat(),
                    };
                    for path in glob(tree, &pattern)? {
                        // One fault of this kind is enough, and two includes of itself would be 2 to the 16th files.
                        if self.faults.is_empty() {
                            self.file(tree, &path, *block, depth + 1)?;
                        }
                    }
                }
            }
            _ => {
                // What belongs to all of the server is read before anybody connects.
                let is_global = GLOBAL.contains(&&keyword[..]);
                let within = block.filter(|block| !(is_global && self.is_always(*block)));
                let setting =
                    Setting { keyword, words, path: Rc::clone(path), line: number, within };
                self.check(&setting);
                self.settings.push(setting);
            }
        }
        Ok(())
    }

    fn fault(&mut self, path: &Rc<[u8]>, line: u32, said: &str) {
        self.faults.push((Rc::clone(path), line, said.to_owned()));
    }

    /// Notes what the server does not start with, or may not.
    fn check(&mut self, setting: &Setting) {
        if let Some(said) = values::fault(setting) {
            self.fault(&setting.path, setting.line, said);
        } else if setting.within.is_some() && GLOBAL.contains(&&setting.keyword[..]) {
            self.fault(&setting.path, setting.line, "it is not allowed in a Match block");
        }
        let left = MOST_DOUBTS - self.doubts.len();
        for doubt in values::doubts(setting).into_iter().take(left) {
            self.doubts.push((Rc::clone(&setting.path), setting.line, doubt));
        }
    }

    /// Whether a block holds for all.
    fn is_always(&self, block: usize) -> bool {
        let block = &self.blocks[block];
        let is_all = block.words.len() == 1 && block.words[0].eq_ignore_ascii_case(b"all");
        is_all && block.within.is_none_or(|within| self.is_always(within))
    }

    /// The line of `AuthenticationMethods` none of whose lists can be gone through with what else is switched on: the server
    /// does not start with it (sshd.c, auth2_methods_valid).
    pub(super) fn unsatisfied(&self) -> Option<&Setting> {
        // What counts before anybody connects.
        let first = |keyword: &str| {
            let counts = |it: &&Setting| it.within.is_none_or(|block| self.is_always(block));
            self.settings.iter().filter(counts).find(|it| it.keyword == keyword.as_bytes())
        };
        let is_on = |keyword: &str| first(keyword).is_none_or(|setting| !setting.is("no"));
        let is_enabled = |method: &[u8]| match method.split(|&byte| byte == b':').next() {
            Some(b"publickey") => is_on("pubkeyauthentication"),
            Some(b"password") => is_on("passwordauthentication"),
            Some(b"keyboard-interactive") => is_on("kbdinteractiveauthentication"),
            _ => true,
        };
        let setting = first("authenticationmethods").filter(|setting| !setting.is("any"))?;
        let can = |list: &Vec<u8>| list.split(|&byte| byte == b',').all(is_enabled);
        (!setting.words.iter().any(can)).then_some(setting)
    }

    fn holds(&self, block: usize, who: Who<'_>) -> Holds {
        let Block { words, within } = &self.blocks[block];
        let mut all = within.map_or(Holds::Yes, |within| self.holds(within, who));
        let words: Vec<&[u8]> = words.iter().flat_map(|word| attribute(word)).collect();
        let mut words = words.into_iter();
        while let Some(attribute) = words.next() {
            let attribute = attribute.to_ascii_lowercase();
            let one = match &attribute[..] {
                b"all" => Holds::Yes,
                b"invalid-user" => Holds::No,
                name => {
                    let list = words.next().unwrap_or_default();
                    let yes = |is| if is { Holds::Yes } else { Holds::No };
                    match (name, who.groups) {
                        (b"user", _) => yes(matches_list(list, &[who.name])),
                        (b"group", Some(groups)) => yes(matches_list(list, groups)),
                        _ => Holds::Perhaps,
                    }
                }
            };
            all = match (all, one) {
                (Holds::No, _) | (_, Holds::No) => Holds::No,
                (Holds::Yes, Holds::Yes) => Holds::Yes,
                _ => Holds::Perhaps,
            };
        }
        all
    }

    /// The lines of a keyword, each with whether its block holds; lines of a block follow each other, which is judged once.
    fn of(&self, keyword: &str, who: Who<'_>) -> impl Iterator<Item = (&Setting, Option<Holds>)> {
        let mut last: Option<(usize, Holds)> = None;
        let settings = self.settings.iter().filter(move |it| it.keyword == keyword.as_bytes());
        settings.map(move |setting| {
            let holds = setting.within.map(|block| match last {
                Some((before, holds)) if before == block => holds,
                _ => self.holds(block, who),
            });
            last = setting.within.zip(holds);
            (setting, holds)
        })
    }

    /// The lines of a keyword that count for somebody.
    pub(super) fn all(&self, keyword: &str, who: Who<'_>) -> Vec<&Setting> {
        let (mut always, mut matched) = (Vec::new(), Vec::new());
        for (setting, holds) in self.of(keyword, who) {
            match holds {
                None => always.push(setting),
                Some(Holds::Yes) => matched.push(setting),
                Some(_) => {}
            }
        }
        if matched.is_empty() { always } else { matched }
    }

    /// The line of a keyword that counts for somebody.
    pub(super) fn first(&self, keyword: &str, who: Who<'_>) -> Option<&Setting> {
        self.all(keyword, who).first().copied()
    }

    /// Whether a line of a keyword counts for somebody only if more is known of the connection.
    pub(super) fn depends(&self, keyword: &str, who: Who<'_>) -> bool {
        self.of(keyword, who).any(|(_, holds)| holds == Some(Holds::Perhaps))
    }

    /// Whether a keyword is `yes`; `default` if it is not there.
    pub(super) fn is_yes(&self, keyword: &str, who: Who<'_>, default: bool) -> bool {
        let value = self.first(keyword, who).and_then(|setting| setting.words.first());
        value.map_or(default, |value| value.eq_ignore_ascii_case(b"yes"))
    }
}

impl Setting {
    /// Whether its first value is this one.
    pub(super) fn is(&self, value: &str) -> bool {
        self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(value.as_bytes()))
    }
}

/// `User=root` is two words.
fn attribute(word: &[u8]) -> Vec<&[u8]> {
    let at = word.iter().position(|&byte| byte == b'=');
    match at {
        Some(at) if word[..at].iter().all(u8::is_ascii_alphabetic) => {
            vec![&word[..at], &word[at + 1..]]
        }
        _ => vec![word],
    }
}

/// Whether one of these names matches a list of patterns, and none of them one after an exclamation mark.
fn matches_list(list: &[u8], names: &[&[u8]]) -> bool {
    let mut found = false;
    for pattern in list.split(|&byte| byte == b',') {
        let (pattern, negated) = match pattern.strip_prefix(b"!") {
            Some(pattern) => (pattern, true),
            None => (pattern, false),
        };
        if names.iter().any(|name| patterns::matches(pattern, name, false)) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// The paths that a pattern matches, in order; as in glob(3), a name that begins with a period has to be asked for.
fn glob(tree: &mut Tree<'_>, pattern: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    for part in pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in paths {
            if !patterns::has_wildcard(part) {
                next.push([&path[..], b"/", part].concat());
                continue;
            }
            for entry in
                tree.list(if path.is_empty() { b"/" } else { &path[..] })?.unwrap_or_default()
            {
                let is_hidden = entry.name.starts_with(b".") && !part.starts_with(b".");
                if !is_hidden
                    && patterns::matches(part, &entry.name, true)
                    && next.len() < MOST_FILES
                {
                    next.push([&path[..], b"/", &entry.name].concat());
                }
            }
        }
        paths = next;
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    pub(super) const ROOT: Who<'_> = Who { name: b"root", groups: Some(&[b"root"]) };

    fn read(system: Memory) -> Config {
        Config::read(&mut tree(vec![system]), b"/etc/ssh/sshd_config", &[]).unwrap().unwrap()
    }

    fn value(config: &Config, keyword: &str, who: Who<'_>) -> String {
        let words = config.first(keyword, who).map(|it| it.words.join(&b" "[..]));
        String::from_utf8(words.unwrap_or_default()).unwrap()
    }

    #[test]
    fn the_first_value_counts_in_the_order_of_includes() {
        let config = read(
            Memory::new()
                .with(
                    "/etc/ssh/sshd_config",
                    "# x\n  PermitRootLogin=no # y\nInclude /etc/ssh/sshd_config.d/*.conf\n\
                usepam yes\nPasswordAuthentication no\nPort 22\n\"Port\" \"23\"\nBanner = 'a b'\n",
                )
                .with(
                    "/etc/ssh/sshd_config.d/20.conf",
                    "PasswordAuthentication yes\nPermitRootLogin yes\n",
                )
                .with("/etc/ssh/sshd_config.d/10.conf", "PubkeyAuthentication\tno\n")
                .with("/etc/ssh/sshd_config.d/.5.conf", "UsePAM no\n")
                .with("/etc/ssh/sshd_config.d/5.conf~", "UsePAM no\n"),
        );
        assert_eq!(value(&config, "permitrootlogin", ROOT), "no");
        assert_eq!(value(&config, "passwordauthentication", ROOT), "yes");
        assert_eq!(value(&config, "pubkeyauthentication", ROOT), "no");
        assert_eq!(value(&config, "usepam", ROOT), "yes");
        assert_eq!(value(&config, "banner", ROOT), "a b");
        assert_eq!(config.all("port", ROOT).len(), 2);
        assert!(config.faults.is_empty(), "{:?}", config.faults);
        let found = config.first("pubkeyauthentication", ROOT).unwrap();
        assert_eq!((&found.path[..], found.line), (&b"/etc/ssh/sshd_config.d/10.conf"[..], 1));
    }

    #[test]
    fn match_blocks_count_for_whom_they_name() {
        let text = "PermitRootLogin no\nMatch User root,!x Group wheel\nPermitRootLogin yes\n\
            Match Address 10.0.0.0/8\nPubkeyAuthentication no\nMatch all\nX11Forwarding no\n";
        let config = read(Memory::new().with("/etc/ssh/sshd_config", text));
        let wheel = Who { groups: Some(&[b"wheel"]), ..ROOT };
        assert_eq!(value(&config, "permitrootlogin", wheel), "yes");
        assert_eq!(value(&config, "permitrootlogin", ROOT), "no");
        assert_eq!(value(&config, "pubkeyauthentication", ROOT), "");
        assert!(config.depends("pubkeyauthentication", ROOT));
        assert!(config.depends("permitrootlogin", Who { groups: None, ..ROOT }));
        assert!(!config.depends("permitrootlogin", ROOT));
        assert_eq!(value(&config, "x11forwarding", ROOT), "no");
        // A block of an included file ends with it.
        let config = read(
            Memory::new()
                .with("/etc/ssh/sshd_config", "Include a\nUsePAM yes\nMatch User x\nInclude b\n")
                .with("/etc/ssh/a", "Match User x\n")
                .with("/etc/ssh/b", "Match all\nPermitRootLogin yes\n"),
        );
        assert_eq!(value(&config, "usepam", ROOT), "yes");
        assert_eq!(value(&config, "permitrootlogin", ROOT), "");
        assert_eq!(value(&config, "permitrootlogin", Who { name: b"x", ..ROOT }), "yes");
    }

    #[test]
    fn what_no_server_starts_with_is_a_fault() {
        for (text, faults) in [
            ("PubkeyAuthentication maybe\n", true),
            ("PubkeyAuthentication\n", true),
            ("Banner \"x\n", true),
            ("Match User x\nUsePAM yes\n", true),
            ("Match all\nUsePAM yes\n", false),
            ("Include /etc/ssh/sshd_config\nInclude /etc/ssh/sshd_config\n", true),
            ("Include /nothing/*\nInclude nothing\n", false),
            ("PermitRootLogin YES\n", false),
        ] {
            let config = read(Memory::new().with("/etc/ssh/sshd_config", text));
            assert_eq!(!config.faults.is_empty(), faults, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            text in "((Match|Include|Port|User) |[*]|\"|'|=|\\\\|#| |\n){0,60}") {
            for text in [&bytes[..], text.as_bytes()] {
                let config = read(Memory::new().with("/etc/ssh/sshd_config", text));
                config.first("port", ROOT);
            }
        }
    }
}

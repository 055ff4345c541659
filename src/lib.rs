//! tidegate: a streaming gate for disk images on their way to DigitalOcean.
//!
//! The library is what the command line stands on: [`inspect`](mod@inspect) checks images, `push` brings them to
//! DigitalOcean, [`render`] makes reports, and `simulator` is a DigitalOcean to try all of it with. Nothing here
//! prints, and everything that an image, a server or a path says is shown escaped ([`bytes::Hostile`]).
//!
//! # Check a reader
//!
//! ```
//! use tidegate::inspect::{Deaf, Options, Verdict, inspect_reader};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.qcow2.gz");
//! let file = std::fs::File::open(path)?;
//! let report = inspect_reader("disk.qcow2.gz", file, &Options::default(), &Deaf);
//! assert_eq!(report.verdict, Verdict::Accept);
//! for finding in &report.findings {
//!     println!("{}: {} {}", finding.code.as_str(), finding.message, finding.remedy);
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Check a URL
//!
//! The verdict is in the report whatever happens; one that could not be reached is [`inspect::Verdict::Error`].
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use std::sync::Arc;
//! use tidegate::inspect::{Deaf, Options, Verdict, inspect};
//! use tidegate::net;
//!
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! # let url = format!("http://{}/disk.qcow2.gz", listener.local_addr().unwrap());
//! # std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let body = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.qcow2.gz"));
//! #     for stream in listener.incoming() {
//! #         let mut stream = stream.unwrap();
//! #         let mut request = [0; 4096];
//! #         let _ = stream.read(&mut request);
//! #         let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
//! #         let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
//! #     }
//! # });
//! // Plain http, and what DigitalOcean's importer could not fetch, only because this is an example.
//! let client = net::Options { insecure_http: true, ..net::Options::default() };
//! let options = Options {
//!     client: Some(Arc::new(net::Client::new(client).expect("certificates can be read"))),
//!     url_rules: false,
//!     ..Options::default()
//! };
//! let report = inspect(url.as_ref(), &options, &Deaf);
//! assert_eq!(report.verdict, Verdict::Warn);
//! assert!(report.findings.iter().any(|finding| finding.code.as_str() == "url-unpinned"));
//! # }
//! ```
//!
//! # Push by way of a store of your own
//!
//! A store is anything that speaks S3; here it is that of the simulator, which is DigitalOcean's API as well.
//!
//! ```
//! # #[cfg(feature = "simulator")] {
//! # fn example() -> Result<(), String> {
//! use std::sync::Arc;
//! use tidegate::net::Address;
//! use tidegate::push::{Canceller, NewImage, Order, Repack, Route, World, fingerprint, push};
//! use tidegate::spaces::{BucketName, Endpoint, Keys, Region, Style};
//! use tidegate::{digitalocean, inspect, net, simulator, spaces};
//!
//! let simulator = simulator::Simulator::start(simulator::Options::default())?;
//! let api = digitalocean::Client::new(
//!     &digitalocean::Token::new(simulator.token())?,
//!     digitalocean::Options {
//!         base: Address::parse(simulator.url())?,
//!         net: net::Options::default(),
//!         listener: None,
//!     },
//! )?;
//! let store = simulator.spaces();
//! let bucket = spaces::Bucket::new(spaces::Options {
//!     endpoint: Endpoint::other(
//!         Address::parse(store.endpoint_url)?,
//!         Region::parse(store.region)?,
//!         Style::Path,
//!     )?,
//!     bucket: BucketName::parse(store.bucket)?,
//!     keys: Keys::new(store.access_key_id, store.secret_access_key)?,
//!     net: net::Options::default(),
//!     pace: None,
//!     listener: None,
//! })?;
//! let world = World {
//!     api: api.clone(),
//!     api_place: simulator.url().to_owned(),
//!     bucket: Some(bucket),
//!     fresh_key: false,
//!     mint: None,
//!     look: inspect::Options::default(),
//!     listener: Arc::new(|_| {}),
//!     watch: Arc::new(inspect::Deaf),
//! };
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/gpt.qcow2.gz");
//! let order = Order {
//!     source: path.into(),
//!     shown: path.to_owned(),
//!     fingerprint: fingerprint(path.as_bytes()),
//!     resume: false,
//!     check: inspect::Options::default(),
//!     strict: true,
//!     route: Route::Staged {
//!         stem: "disk".into(),
//!         at_once: 4,
//!         part_size: None,
//!         keep_object: false,
//!         read_back: false,
//!         repack: Repack::Auto,
//!     },
//!     image: NewImage {
//!         name: "web-7".into(),
//!         region: "nyc3".into(),
//!         distribution: None,
//!         description: None,
//!         describe: false,
//!         tags: Vec::new(),
//!     },
//!     tag: true,
//!     transfer: Vec::new(),
//!     convert: false,
//!     settle: std::time::Duration::from_secs(5),
//!     patience: Default::default(),
//! };
//! # let journals = std::env::temp_dir().join(format!("tidegate-example-{}", std::process::id()));
//! let (_canceller, cancel) = Canceller::new();
//! let pushed = api.wait(push(&order, &world, Some(&journals), &cancel));
//! assert!(pushed.stop.is_none(), "{:?}", pushed.stop);
//! assert!(pushed.image.is_some_and(|image| image.is_available()));
//! # let _ = std::fs::remove_dir_all(journals);
//! # Ok(())
//! # }
//! # example().unwrap();
//! # }
//! ```
//!
//! # What is kept
//!
//! The API is what the examples stand for: [`inspect`](mod@inspect) with what its report is made of ([`facts`], [`guest`],
//! [`rules`]), [`render`], [`project`], `push`, `digitalocean`, `spaces`, `net` and `simulator`, and [`bytes::Hostile`].
//! [`codec`], [`formats`], and the rest of [`source`] and [`bytes`] are the machinery below; they can be used, and may change
//! in any release. [`cli`] is the program.
//!
//! What the library hands out may grow and is `#[non_exhaustive]`: a `match` needs an arm for what is new. What callers fill
//! in is not; a literal that ends with `..Options::default()` outlives new fields.
//!
//! # Rooms
//!
//! From the lowest to the highest; imports go down only:
//! [`bytes`], [`facts`], `net`, `digitalocean`, `spaces`, [`source`], [`codec`], [`formats`], [`guest`],
//! [`rules`], [`inspect`](mod@inspect), [`repack`](mod@repack), `boot`, `simulator`, `push`, [`project`], [`render`], [`cli`].

#![warn(clippy::unwrap_used)]

#[cfg(feature = "boot")]
pub mod boot;
pub mod bytes;
pub mod cli;
pub mod codec;
#[cfg(feature = "net")]
pub mod digitalocean;
pub mod facts;
pub mod formats;
pub mod guest;
pub mod inspect;
#[cfg(feature = "net")]
pub mod net;
pub mod project;
#[cfg(feature = "net")]
pub mod push;
pub mod render;
pub mod repack;
pub mod rules;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
#[cfg(feature = "net")]
pub mod spaces;

//! What a push works with: the API, the bucket, and who is told of events; for a rehearsal those of a
//! simulator in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{PushArgs, StageArgs};
use super::view::View;
use crate::bytes::Given;
use crate::cli::image::args::ApiArgs;
use crate::cli::image::connect;
use crate::cli::{Usage, output};
use crate::digitalocean;
use crate::inspect;
use crate::net;
use crate::push::{Mint, Order, Route, World};
use crate::spaces::credentials::{self, Places};
use crate::spaces::{Bucket, BucketName, Endpoint, Event, Keys, Options};

/// What has to live as long as a rehearsal.
pub(super) struct Rehearsal {
    #[cfg(feature = "simulator")]
    _simulator: crate::simulator::Simulator,
}

pub(super) fn world(
    args: &PushArgs,
    order: &Order,
    view: &Arc<View>,
) -> Result<(World, Option<Rehearsal>), Usage> {
    #[cfg(feature = "simulator")]
    if args.rehearse {
        return rehearse(args, view).map(|(world, rehearsal)| (world, Some(rehearsal)));
    }
    let (api, api_place) = connect::client_at(&args.api, view.teller())?;
    let mut world = assemble(api, api_place, None, view);
    if let Route::Staged { .. } = order.route {
        let region = Some(order.image.region.as_str());
        match args.stage.mint_key {
            true => world.mint = Some(mint(&args.stage, &args.api, region, view)?),
            false => world.bucket = Some(bucket(&args.stage, &args.api, region, None, view)?),
        }
    }
    Ok((world, None))
}

pub(super) fn assemble(
    api: digitalocean::Client,
    api_place: String,
    bucket: Option<Bucket>,
    view: &Arc<View>,
) -> World {
    let told = Arc::clone(view);
    World {
        api,
        api_place,
        bucket,
        fresh_key: false,
        mint: None,
        look: inspect::Options::default(),
        listener: Arc::new(move |event| told.event(event)),
        watch: Arc::<View>::clone(view),
    }
}

/// The bucket that is meant. Without any region, it is looked for in that of the image.
pub(super) fn bucket(
    stage: &StageArgs,
    api: &ApiArgs,
    region: Option<&str>,
    keys: Option<Keys>,
    view: &Arc<View>,
) -> Result<Bucket, Usage> {
    let places = Places { keys, ..places(stage, region) };
    let found = credentials::find(&places, variable).map_err(Usage)?;
    let open = opener(found.endpoint, found.bucket, stage, api, view)?;
    open(found.keys).map_err(Usage)
}

/// Whether anything says that there is a bucket.
pub(super) fn names_bucket(stage: &StageArgs) -> bool {
    let said = [&stage.bucket, &stage.spaces_region, &stage.spaces_endpoint];
    let names = ["SPACES_BUCKET", "SPACES_REGION", "SPACES_ENDPOINT_URL", "SPACES_ACCESS_KEY_ID"];
    said.into_iter().any(Option::is_some) || names.into_iter().any(|name| variable(name).is_some())
}

/// The same for a bucket to which a key is yet to be made.
pub(super) fn mint(
    stage: &StageArgs,
    api: &ApiArgs,
    region: Option<&str>,
    view: &Arc<View>,
) -> Result<Mint, Usage> {
    let places = places(stage, region);
    let (endpoint, bucket) = credentials::place(&places, variable).map_err(Usage)?;
    let open = opener(endpoint.clone(), bucket.clone(), stage, api, view)?;
    Ok(Mint { endpoint, bucket, open: Arc::new(open) })
}

/// What the commands that this run prints need as well: with them the next one looks where this one did. Without any
/// region, the bucket is in that of the image.
pub(super) fn given(
    api: &ApiArgs,
    stage: &StageArgs,
    state: Option<&Path>,
    region: Option<&str>,
) -> Given {
    let mut given = Given { api: api.given(), ..Given::default() };
    if let Some(state) = state {
        given.journals = given.journals.file("--state", state);
    }
    if stage.mint_key {
        given.key = given.key.flag("--mint-key").flag("--yes");
    }
    let named = stage.bucket.is_some() || variable("SPACES_BUCKET").is_some();
    let Places { endpoint, region, bucket, .. } = places(stage, region.filter(|_| named));
    let said = [("--bucket", bucket), ("--spaces-region", region), ("--spaces-endpoint", endpoint)];
    for (name, value) in said {
        if let Some(value) = value {
            given.bucket = given.bucket.value(name, value);
        }
    }
    given
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn places(stage: &StageArgs, region: Option<&str>) -> Places {
    let nowhere = stage.spaces_endpoint.is_none()
        && variable("SPACES_ENDPOINT_URL").is_none()
        && variable("SPACES_REGION").is_none();
    let region = region.filter(|_| nowhere).map(str::to_owned);
    Places {
        endpoint: stage.spaces_endpoint.clone(),
        region: stage.spaces_region.clone().or(region),
        bucket: stage.bucket.clone(),
        keys: None,
    }
}

/// Opens a bucket with a key.
fn opener(
    endpoint: Endpoint,
    bucket: BucketName,
    stage: &StageArgs,
    api: &ApiArgs,
    view: &Arc<View>,
) -> Result<impl Fn(Keys) -> Result<Bucket, String> + Send + Sync + 'static, Usage> {
    let pace = stage.max_rate.as_deref().map(rate).transpose()?;
    let (net, view) = (net_options(api), Arc::clone(view));
    Ok(move |keys| {
        let told = Arc::clone(&view);
        Bucket::new(Options {
            endpoint: endpoint.clone(),
            bucket: bucket.clone(),
            keys,
            net: net.clone(),
            pace: pace.clone(),
            listener: Some(Arc::new(move |event: &Event<'_>| told.retry(event))),
        })
    })
}

fn rate(text: &str) -> Result<net::Pace, Usage> {
    let shown = crate::bytes::Hostile::from(text);
    match crate::cli::check::size(text) {
        Ok(rate) if rate > 0 => Ok(net::Pace::new(rate)),
        _ => Err(Usage(format!(
            "--max-rate: {shown} is no rate; it is bytes a second, such as 10MB"
        ))),
    }
}

fn net_options(api: &ApiArgs) -> net::Options {
    net::Options {
        cacert: api.cacert.clone(),
        idle_timeout: Duration::from_secs(u64::from(api.timeout)),
        connect_timeout: Duration::from_secs(u64::from(api.timeout.min(15))),
        retries: u32::from(api.retries),
        log: api.verbose.then(|| crate::net::Log::new(output::log)),
        ..net::Options::default()
    }
}

/// A simulator, and clients that know nothing but it: neither the environment nor any file is asked.
#[cfg(feature = "simulator")]
fn rehearse(args: &PushArgs, view: &Arc<View>) -> Result<(World, Rehearsal), Usage> {
    use crate::digitalocean::{Client, Token};
    use crate::net::Address;
    use crate::simulator::Simulator;
    use crate::spaces::{Region, Style};

    let simulator = Simulator::start(crate::simulator::Options {
        pace: Duration::from_millis(500),
        complain: output::complain,
        ..crate::simulator::Options::default()
    })
    .map_err(Usage)?;
    let base = Address::parse(simulator.url()).map_err(Usage)?;
    let token = Token::new(simulator.token()).map_err(|why| Usage(why.into()))?;
    let listener = connect::listener(view.teller());
    let net = net::Options { direct: true, ..net_options(&args.api) };
    let options = digitalocean::Options { base, net, listener: Some(listener) };
    let api = Client::new(&token, options).map_err(Usage)?;
    let spaces = simulator.spaces();
    let address = Address::parse(spaces.endpoint_url).map_err(Usage)?;
    let region = Region::parse(spaces.region).map_err(Usage)?;
    let endpoint = Endpoint::other(address, region, Style::Path).map_err(Usage)?;
    let name = BucketName::parse(spaces.bucket).map_err(Usage)?;
    let keys = Keys::new(spaces.access_key_id, spaces.secret_access_key).map_err(Usage)?;
    let bucket = opener(endpoint, name, &args.stage, &args.api, view)?(keys).map_err(Usage)?;
    let world = assemble(api, simulator.url().to_owned(), Some(bucket), view);
    Ok((world, Rehearsal { _simulator: simulator }))
}

use std::ffi::OsStr;
use std::sync::Arc;

use serde_json::json;

use super::args::CreateArgs;
use super::connect::Teller;
use super::{Stop, connect, show, warn_distribution, warn_region};
use crate::bytes::Hostile;
use crate::cli::args::NetArgs;
use crate::cli::progress::Progress;
use crate::cli::{REFUSED, Usage, check, net, output};
use crate::digitalocean::wait;
use crate::digitalocean::{
    Client, CreateError, Created, Distribution, Error, ImageNewCustom, Kind, PushId, RegionSlug,
    Settling,
};
use crate::inspect::{self, inspect};
use crate::net::Address;
use crate::render::text;
use crate::source::is_url;

pub(super) fn run(
    args: &CreateArgs,
    teller: &Arc<Teller>,
    progress: &Arc<Progress>,
) -> Result<u8, Stop> {
    let image = request(args)?;
    // Before the check, which may take minutes.
    let client = connect::client(&args.api, teller)?;
    warn_region(&image.region, client.wait(client.regions().once()).ok().as_deref());
    if !args.unchecked {
        let code = checked(args, progress)?;
        if code != 0 {
            return Ok(code);
        }
    }
    let push = PushId::random();
    if !args.api.quiet {
        // A run that is interrupted leaves its user with what the image can be found by.
        let mark = if args.no_mark_tag { push.note() } else { push.tag() };
        output::log(&format!("creating the image, marked {mark}"));
    }
    let how = Settling {
        push: push.clone(),
        tag: !args.no_mark_tag,
        settle: args.settle,
        post_again: args.retry_create,
        patience: args.patience.patience(),
    };
    teller.words.put(format!(
        "the outcome is unknown: the image may have been made, or may still appear; look with {} before you \
         create it again",
        look(args, &push)
    ));
    let created = client.wait(client.images().create_settled(&image, &how));
    teller.close();
    match &created {
        Ok(created) => teller.words.put(format!(
            "image {0} was created, and its import goes on; `tidegate image wait {0}` waits for it",
            created.image.id
        )),
        // What is known is said below.
        Err(_) => teller.words.clear(),
    }
    let created = created.map_err(|error| refused(args, error))?;
    for id in &created.others {
        output::complain(&format!("there is another image with the same mark: {id}"));
    }
    finish(args, &client, &push, created, teller)
}

/// Waits if that is wanted, and shows the image.
fn finish(
    args: &CreateArgs,
    client: &Client,
    push: &PushId,
    created: Created,
    teller: &Arc<Teller>,
) -> Result<u8, Stop> {
    if let Some(because) = &created.adopted {
        output::complain(&format!(
            "the create was not answered ({because}), but image {} was made and is adopted",
            created.image.id
        ));
    }
    let (id, mut seen) = (created.image.id, None);
    let (image, stop) = match args.wait {
        false => (created.image, None),
        true => {
            let patience = args.patience.patience();
            let waited = client.wait(wait::image(client, id, Some(push), patience, &mut seen));
            teller.close();
            teller.words.clear();
            match waited {
                Ok(image) => (image, None),
                Err(error) => {
                    (seen.unwrap_or(created.image), Some(Stop::Wait(id, Box::new(error))))
                }
            }
        }
    };
    let document = json!({
        "schema": "tidegate.create/1",
        "mark": push.tag(),
        "adopted": created.adopted.is_some(),
        "others": created.others,
        "image": show::value(&image)?,
    });
    show::write(args.api.format, &show::image(&image), &document)?;
    stop.map_or(Ok(0), Err)
}

fn request(args: &CreateArgs) -> Result<ImageNewCustom, Usage> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !is_url(OsStr::new(&args.url)) || args.url.contains(odd) {
        return Err(Usage("an image is imported from an http or https URL".into()));
    }
    let address = Address::parse(&args.url).map_err(|why| Usage(format!("the URL: {why}")))?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => address
            .file_name()
            .map(str::to_owned)
            .ok_or_else(|| Usage("the URL ends in no file name; give --name".into()))?,
    };
    let region = RegionSlug::from(args.region.as_str());
    let distribution = args.distribution.as_deref().map(Distribution::from);
    distribution.iter().for_each(warn_distribution);
    Ok(ImageNewCustom {
        name,
        url: args.url.clone(),
        region,
        distribution,
        description: args.description.clone(),
        tags: args.tag.clone(),
    })
}

/// The check of the URL; its exit code.
fn checked(args: &CreateArgs, progress: &Arc<Progress>) -> Result<u8, Usage> {
    let insecure_http = args.insecure_http || args.no_url_rules;
    let net = NetArgs {
        header: Vec::new(),
        cacert: args.api.cacert.clone(),
        insecure_http,
        connections: 4,
        timeout: args.api.timeout,
        retries: args.api.retries,
        verbose: args.api.verbose,
    };
    let url = OsStr::new(&args.url);
    let options = inspect::Options {
        url_rules: !args.no_url_rules,
        client: net::client(&net, insecure_http, [url], None)?,
        ..inspect::Options::default()
    };
    let report = inspect(url, &options, &**progress);
    progress.close();
    let code = check::exit_code(&report, args.strict);
    let style = crate::render::Style::default();
    // The result of this command is the image; the report is what was said on the way to it.
    output::log(text::line(&report, style).trim_end());
    if code != 0 {
        if report.error.is_none() {
            output::log(text::render(&report, style).trim_end());
        }
        output::complain("nothing was created");
    }
    Ok(code)
}

/// How its user looks for an image with these marks.
fn look(args: &CreateArgs, push: &PushId) -> String {
    match args.no_mark_tag {
        true => format!("`tidegate image list --private` for one described as {}", push.note()),
        false => format!("`tidegate image list --tag {}`", push.tag()),
    }
}

/// What a user has to know of a create that failed.
fn refused(args: &CreateArgs, error: CreateError) -> Stop {
    let error = match error {
        CreateError::Refused(error) => error,
        unknown @ CreateError::Unknown { .. } => {
            output::complain(&unknown.to_string());
            let CreateError::Unknown { push, .. } = unknown else { return Stop::Code(REFUSED) };
            let how = look(args, &push);
            output::complain(&format!(
                "it may still appear: look with {how} before you create it again"
            ));
            return Stop::Code(REFUSED);
        }
    };
    let forbidden = match &error.kind {
        // Where the API names the scope, it is this one; otherwise it may be.
        Kind::Forbidden { missing, .. } => missing.as_deref().unwrap_or("tag:create"),
        _ => "",
    };
    if forbidden == "tag:create" && !args.no_mark_tag {
        output::complain(
            "the image is marked with a tag, which needs the scope tag:create; --no-mark-tag does without",
        );
    }
    if let Error { kind: Kind::Invalid { stray: Some(stray) }, .. } = &error {
        output::complain(&format!(
            "DigitalOcean refused, and made an image all the same: {} \"{}\"; `tidegate image delete {}` removes it",
            stray.id,
            Hostile::from(stray.name.as_str()),
            stray.id
        ));
    }
    Stop::Api(error)
}

use super::args::ExplainArgs;
use super::{ACCEPTED, Usage, output};
use crate::bytes::Hostile;
use crate::facts::Code;
use crate::render::explain;
use crate::rules::row;

pub(super) fn run(args: &ExplainArgs) -> Result<u8, Usage> {
    if args.codes.is_empty() {
        output::write(&mut None, &explain::list())?;
        return Ok(ACCEPTED);
    }
    let codes = args.codes.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    let style = output::style(true);
    let texts: Vec<String> = codes.into_iter().map(|code| explain::one(row(code), style)).collect();
    output::write(&mut None, &texts.join("\n"))?;
    Ok(ACCEPTED)
}

fn find(name: &str) -> Result<Code, Usage> {
    Code::from_name(name).ok_or_else(|| {
        let near: Vec<&str> = Code::ALL
            .iter()
            .map(|code| code.as_str())
            .filter(|code| !name.is_empty() && code.contains(name))
            .collect();
        let hint = match near.as_slice() {
            [] => "`tidegate explain` lists all of them".to_owned(),
            [one] => format!("is it `{one}`?"),
            near => format!("there are {}", near.join(", ")),
        };
        Usage(format!("there is no finding `{}`; {hint}", Hostile::from(name)))
    })
}

use super::{Remedy::Judge, Row, Severity::*, judged};
use crate::facts::Code;

const LIMITS: &str = "DigitalOcean documentation, custom images, limits: an import from a URL fails if the server does not support HEAD requests";
const ANONYMOUS: &str = "the importer sends no credentials: \"Your source URL is unreachable\" (nanovms/ops issue 1166)";
const NAME: &str = "DigitalOcean blog on custom images, quoted in nanovms/ops issue 468: the URL has to end in a file name, because that is checked";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::UrlNotHttps,
        Warn,
        "the URL is plain http",
        "Anybody on the way can change the image between this check and the import, and nothing would show it.",
        Judge("Serve it over https."),
        "RFC 9110, 17.1 and 4.2.2: http gives no integrity",
    ),
    judged(
        Code::UrlCredentials,
        Reject,
        "the URL needs credentials",
        "The check sent a user name, a password or headers of its own. DigitalOcean fetches the URL without any, and would put a user name in the URL into its records.",
        Judge(
            "Serve the image to everybody under a name that nobody can guess, for as long as the import takes.",
        ),
        ANONYMOUS,
    ),
    judged(
        Code::UrlQuery,
        Reject,
        "the URL has a query string",
        "What follows a question mark hides the file name, and presigned URLs are for one method only. Imports of such URLs failed.",
        Judge(
            "Serve the image under a URL that ends in its name, as in https://example.com/disk.qcow2.",
        ),
        NAME,
    ),
    judged(
        Code::UrlNoFileName,
        Reject,
        "the URL does not end in a file name",
        "DigitalOcean looks at the name at the end of the URL before it fetches anything.",
        Judge(
            "Serve the image under a URL that ends in its name, as in https://example.com/disk.qcow2.",
        ),
        NAME,
    ),
    judged(
        Code::UrlPrivateHost,
        Reject,
        "the server is not reachable from outside",
        "The address that answered belongs to this machine or to a private network. DigitalOcean cannot reach it.",
        Judge(
            "Put the image on a public server, or check with --no-url-rules if this is a private mirror. With --public-only nothing is sent to such a server.",
        ),
        "RFC 6890: address blocks that are not globally reachable",
    ),
    judged(
        Code::UrlHeadRefused,
        Reject,
        "the server does not answer HEAD",
        "DigitalOcean asks HEAD before it fetches, and gives up if that is refused.",
        Judge("Let the server, or the network before it, answer HEAD like GET."),
        LIMITS,
    ),
    judged(
        Code::UrlHeadDiffers,
        Warn,
        "HEAD and GET are answered differently",
        "The answer to HEAD is about another object than the one that GET brings. DigitalOcean asks both.",
        Judge(
            "Let the server answer HEAD like GET, or wait until the object has been replaced everywhere.",
        ),
        "RFC 9110, 9.3.2; DigitalOcean documentation, custom images, limits",
    ),
    judged(
        Code::UrlLoginPage,
        Reject,
        "the URL leads to a web page",
        "The request was redirected, and what is served there is a page for people, mostly one to log in.",
        Judge("Use a URL that serves the image itself to everybody."),
        ANONYMOUS,
    ),
    judged(
        Code::UrlNoLength,
        Warn,
        "the server does not say how long the file is",
        "Where the end of the body is marked by nothing either, nobody can tell a cut transfer from a whole one. No progress can be shown.",
        Judge("Serve it as a file with a Content-Length."),
        "RFC 9112, 6.3",
    ),
    judged(
        Code::UrlContentEncoding,
        Warn,
        "the server says that the content is encoded",
        "The answer has a Content-Encoding, or a Transfer-Encoding besides chunked, although none was asked for. A client that undoes it gets other bytes than those that were checked.",
        Judge(
            "Switch compression off for this path, and serve compressed images as application/octet-stream.",
        ),
        "RFC 9110, 8.4; RFC 9112, 6.1",
    ),
    judged(
        Code::UrlRedirected,
        Note,
        "the URL redirects",
        "The image is served from another address than the one that was given.",
        Judge("Nothing, if you know the address; otherwise give the last one."),
        "RFC 9110, 15.4",
    ),
    judged(
        Code::UrlUnpinned,
        Warn,
        "nothing tells whether the object stays the same",
        "The server sends no strong ETag, or answers contradict each other. So nobody can tell whether what DigitalOcean fetches is what was checked.",
        Judge(
            "Serve it with the same strong ETag from every server, as object stores do. Or push it with --stage, which sends the bytes that were checked.",
        ),
        "RFC 9110, 8.8.1 and 8.8.3",
    ),
];

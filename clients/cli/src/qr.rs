//! QR codes drawn with characters.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::failure::Failure;
use crate::output::Output;

/// Black on white, independent of the terminal's colours.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";

/// Returns the text as a QR code for the terminal. Without colours it is drawn for light characters
/// on a dark background, as most terminals have.
pub(crate) fn render(out: &Output, text: &str) -> Result<String, Failure> {
    let code = QrCode::new(text)
        .map_err(|_| Failure::Local("This is too long for a QR code.".to_owned()))?;
    // The renderer draws the modules called `Dark` as characters.
    if !out.has_color() {
        return Ok(code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build());
    }
    let image = code.render::<Dense1x2>().build();
    let lines = image
        .lines()
        .map(|line| format!("{BLACK_ON_WHITE}{line}\x1b[0m"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

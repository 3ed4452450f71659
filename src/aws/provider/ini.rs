//! The INI dialect of `~/.aws/credentials` and `~/.aws/config`.
//!
//! Source: "Configuration and credential file settings" of the AWS CLI guide; "Shared config file format" of the SDKs guide.

use std::collections::BTreeMap;

/// One section's settings, names in lower case.
pub(crate) type Section = BTreeMap<String, String>;

/// The profiles of a file by name; the line of what is no setting as an error.
///
/// In `config` a section is `[default]` or `[profile NAME]`, in `credentials` it is `[NAME]`; both spellings are read in both,
/// other kinds (`sso-session`, `services`) are left out. A section that comes twice is one. Indented lines are nested
/// settings and left out.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Section>, usize> {
    let mut profiles: BTreeMap<String, Section> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut in_section = false;
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or(number)?;
            current = profile_name(name);
            in_section = true;
            if let Some(name) = &current {
                profiles.entry(name.clone()).or_default();
            }
            continue;
        }
        if line.starts_with([' ', '\t']) && in_section {
            continue;
        }
        let (name, value) = trimmed.split_once('=').ok_or(number)?;
        if !in_section {
            return Err(number);
        }
        if let Some(profile) = current.as_ref().and_then(|name| profiles.get_mut(name)) {
            let value = without_comment(value).trim();
            profile.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    Ok(profiles)
}

fn profile_name(section: &str) -> Option<String> {
    let mut words = section.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("profile"), Some(name), None) | (Some(name), None, None) => {
            Some(name.trim_matches(['"', '\'']).to_owned())
        }
        _ => None,
    }
}

/// The value without a comment, which begins with white space and `#` or `;`.
fn without_comment(value: &str) -> &str {
    let starts = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    starts.and_then(|start| value.get(..start)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_both_files_are_read() {
        let text = "\u{feff}# comment\n\
            [default]\n\
            aws_access_key_id = AKID ; why\n\
            AWS_SECRET_ACCESS_KEY=a#b=;c\r\n\
            \n\
            [profile orders]\n\
            region\t=\teu-west-1\n\
            s3 =\n\
            \x20 max = 3\n\
            [sso-session corp]\n\
            sso_region = us-east-1\n\
            [ plain ]\n\
            [default]\n\
            region = us-east-2\n";
        let profiles = parse(text).unwrap();
        assert_eq!(profiles.keys().collect::<Vec<_>>(), ["default", "orders", "plain"]);
        let section = |name: &str| {
            let pairs = profiles[name].iter();
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            section("default"),
            ["aws_access_key_id=AKID", "aws_secret_access_key=a#b=;c", "region=us-east-2"]
        );
        assert_eq!(section("orders"), ["region=eu-west-1", "s3="]);
        assert_eq!(section("plain"), [""; 0]);
    }

    #[test]
    fn a_line_that_is_no_setting_is_named() {
        for (text, line) in
            [("[default]\nAKIDEXAMPLE\n", 2), ("aws_access_key_id = x\n", 1), ("\n\n[default\n", 3)]
        {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }
}

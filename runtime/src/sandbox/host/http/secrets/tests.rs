use super::*;

fn secrets(named: &[(&str, &str, &[&str])]) -> Result<Secrets, InvalidSecret> {
    let granted = |text: &str, origins: &[&str]| Granted {
        secret: Secret::new(text),
        origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
    };
    Secrets::new(named.iter().map(|(name, text, origins)| ((*name).to_owned(), granted(text, origins))).collect())
}

fn fill(secrets: &Secrets, value: &str, origin: &str) -> Result<HeaderValue, String> {
    let template = Template::parse(value)?;
    let header = HeaderName::from_static("x-key");
    secrets.fill(&header, &template, &origin.parse().unwrap()).map_err(|refused| refused.to_string())
}

#[test]
fn secrets_go_where_they_were_granted_for() {
    let here: &[&str] = &["https://a.example", "http://a.example:81"];
    let secrets = secrets(&[("key", "hunter2hunter2", here), ("odd", "{{secret:key}}", here)]).unwrap();
    let value = fill(&secrets, "Bearer {{secret:key}}!", "https://a.example:443").unwrap();
    assert_eq!(value, "Bearer hunter2hunter2!");
    assert_eq!(format!("{value:?}"), "Sensitive");
    assert_eq!(
        fill(&secrets, "{{secret:key}}{{secret:key}}", "http://a.example:81").unwrap(),
        "hunter2hunter2hunter2hunter2"
    );
    // What a secret says is no template.
    assert_eq!(fill(&secrets, "{{secret:odd}}", "https://a.example").unwrap(), "{{secret:key}}");
    assert_eq!(fill(&secrets, "{{other}} }} {{", "https://b.example").unwrap(), "{{other}} }} {{");
    let denied = "the secret key is not granted for";
    for origin in ["http://a.example", "https://a.example:444", "https://b.example", "https://x.a.example"] {
        let error = fill(&secrets, "{{secret:key}}", origin).unwrap_err();
        assert_eq!(error, format!("{denied} {origin}; `grants.secrets.key.origins` says for which it is"));
    }
    let error = fill(&secrets, "{{secret:Key}}", "https://a.example").unwrap_err();
    assert_eq!(error, "header x-key: there is no secret Key; `grants.secrets` has to name it, or --secret Key=@FILE");
    assert_eq!(
        fill(&secrets, "{{secret:key", "https://a.example").unwrap_err(),
        "{{secret: is not closed; write {{secret:NAME}}"
    );
    assert!(fill(&secrets, "{{secret:}}", "https://a.example").unwrap_err().contains("needs a name"));
    assert!(fill(&secrets, "{{secret:a b}}", "https://a.example").unwrap_err().contains("needs a name"));
    let error = fill(&secrets, &"{{secret:key}}".repeat(1_200), "https://a.example").unwrap_err();
    assert_eq!(error, "the head of the request is longer than 16384 bytes");
    assert!(!format!("{secrets:?}").contains("hunter2"));
}

const HEADERS: &str = "secret a: it is not visible ASCII from its first character to its last, as a header has to be; \
    remove ends of lines, blanks around it, and marks of an encoding";

#[test]
fn what_cannot_be_kept_secret_is_refused() {
    let long = "x".repeat(TOGETHER);
    for (name, text, origins, problem) in [
        ("", "hunter2hunter2", 1, "secret \"\": a name has 1 to 64 letters, digits, dots, hyphens and underscores"),
        (
            "a}}",
            "hunter2hunter2",
            1,
            "secret \"a}}\": a name has 1 to 64 letters, digits, dots, hyphens and underscores",
        ),
        ("a", "hunter2", 1, "secret a: it has fewer than 8 bytes; use a longer one"),
        ("a", "hunter2hunter2\n", 1, HEADERS),
        ("a", "hünter2hunter2", 1, HEADERS),
        ("a", "hunter2hunter2", 0, "secret a: it is granted for no origin; name those that it may be sent to"),
        ("a", &format!("{long}y"), 1, "the secrets of a deployment have 8193 bytes together, and may have 8192"),
    ] {
        let error = secrets(&[(name, text, &["https://a.example"][..origins])]).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
    assert!(secrets(&[("a", &long, &["https://a.example"])]).is_ok());
}

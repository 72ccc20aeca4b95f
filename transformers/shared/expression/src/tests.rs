use super::*;

mod python;

/// What an expression is, as Python prints it.
fn evaluated(source: &str, values: &[(&str, Value)]) -> Result<String, String> {
    let expression = Expression::parse(source).map_err(|error| error.to_string())?;
    let value = |path: &Path| {
        let found = values.iter().find(|(name, _)| *name == path.to_string());
        found.map_or(Value::Missing, |(_, value)| value.clone())
    };
    let slots: Vec<Value> = expression.paths().iter().map(value).collect();
    expression.evaluate(&slots).map(|value| shown(&value)).map_err(|error| error.to_string())
}

fn shown(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Missing => "missing".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::Big(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::List(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => format!("{:?}", entries.keys().collect::<Vec<_>>()),
    }
}

#[test]
fn operators_files_are_understood() {
    let cpu = "100.0 / (10**9 * (resource_metadata.cpu_number or 1))";
    for (source, values, expected) in [
        (cpu, vec![("resource_metadata.cpu_number", Value::Int(4))], "2.5e-8"),
        (cpu, vec![], "1e-7"),
        ("volume * 1.0 / (1024 * 1024)", vec![("volume", Value::Int(3 << 20))], "3.0"),
        (
            "100 * $(memory.usage) / $(memory)",
            vec![("$(memory.usage).volume", Value::Int(1)), ("$(memory).volume", Value::Int(8))],
            "12.5",
        ),
        (
            "$(cpu-time_1.x).resource_metadata['cpu_number'] + 1",
            vec![("$(cpu-time_1.x).resource_metadata.cpu_number", Value::Int(2))],
            "3",
        ),
        (
            "'active' if resource_metadata.status in ('active', 'paused') else None",
            vec![("resource_metadata.status", Value::text("paused"))],
            "\"active\"",
        ),
        ("a.b.c.d or a['b'].c or 7", vec![], "7"),
        ("volume if 0 < volume <= 2**64 else 0", vec![("volume", Value::from(u64::MAX))], "18446744073709551615"),
        ("not a.b", vec![], "True"),
        ("min(volume, 100.0), ", vec![], "a comma has no place here, at column 19: `,`"),
        ("round(volume, 2)", vec![("volume", Value::Float(2.675))], "2.67"),
        ("volume[0 or 1]", vec![("volume", Value::List(vec![Value::Int(1), Value::Int(2)].into()))], "2"),
        ("(a or volume).x.y", vec![], "missing"),
    ] {
        let (Ok(text) | Err(text)) = evaluated(source, &values);
        assert_eq!(text, expected, "{source}");
    }
}

#[test]
fn errors_point_into_the_expression() {
    for (source, expected) in [
        ("", "it ends where a value is expected, at column 1"),
        ("1 +", "it ends where a value is expected, at column 4"),
        ("(1 + 2", "`)` is expected here, at column 7"),
        ("1 2", "an operator is expected here, at column 3: `2`"),
        ("1 + )", "a value is expected here, at column 5: `)`"),
        ("1)", "nothing is open that this could close, at column 2: `)`"),
        ("$(cpu", "a meter is written $(its.name), at column 1: `$(cpu`"),
        ("1 $ 2", "a meter is written $(its.name), at column 3: `$`"),
        ("a ? b", "'?' has no meaning in an expression, at column 3: `?`"),
        ("ä * 10L", "this is no number; write it without letters behind it, at column 5: `10L`"),
        ("010", "a whole number does not begin with 0; for octal ones write 0o, at column 1: `010`"),
        (
            "'abc",
            "a text begins that does not end in its line, or has an escape other than \\\\ \\' \\\" \\n \\t, at column 1: `'abc`",
        ),
        ("a <> b", "write `!=`, at column 3: `<>`"),
        ("a if b", "an `if` wants an `else`, at column 7"),
        ("a is 1", "`is` is for None, True and False; for others write `==`, at column 6: `1`"),
        (
            "exec(1)",
            "there is no function exec; there are abs, bool, float, int, len, max, min, pow, round, sum, at column 1: `exec`",
        ),
        ("abs(1, 2)", "abs takes one value, not 2, at column 1: `abs`"),
        ("round()", "round takes 1 to 2 values, not 0, at column 1: `round`"),
        ("pow(2, 10, 7)", "pow takes 2 values, not 3, at column 1: `pow`"),
        ("max()", "max takes 1 or more values, not 0, at column 1: `max`"),
        ("a.b(1)", "this cannot be called; functions are called by their names alone, at column 1: `a`"),
        ("a.1", "an operator is expected here, at column 2: `.1`"),
        ("a[1:2]", "parts of texts and lists cannot be taken, at column 4: `:`"),
        ("lambda: 1", "`lambda` is not possible here, at column 1: `lambda`"),
        ("{'a': 1}", "mappings cannot be written in an expression, at column 1: `{`"),
        ("[x for x in y]", "`]` is expected here, at column 4: `for`"),
        ("a := 1", "names cannot be given in an expression, at column 3: `:=`"),
        ("a = 1", "'=' has no meaning in an expression, at column 3: `=`"),
        ("10 ** 400", "a whole number of more than 1000 bits, at column 1: `10 ** 400`"),
        ("2 * (3 / (1 - 1))", "division by zero, at column 5: `(3 / (1 - 1))`"),
        ("2 * (a.b + 1)", "`+` takes numbers, and this is missing, at column 6: `a.b`"),
        ("1 < 'a'", "a whole number and a text have no order, at column 1: `1 < 'a'`"),
        ("(-8) ** 0.5", "a negative number to a power that is not whole, at column 1: `(-8) ** 0.5`"),
        ("[1][3]", "the list has 1 values, at column 1: `[1][3]`"),
        ("int('x')", "\"x\" is no whole number, at column 1: `int('x')`"),
        ("-'x'", "a number is wanted, and this is a text, at column 2: `'x'`"),
    ] {
        assert_eq!(evaluated(source, &[]).unwrap_err(), expected, "{source}");
    }
}

#[test]
fn what_is_deep_or_long_is_refused() {
    for source in [
        "(".repeat(3_000),
        "-".repeat(3_000),
        "not ".repeat(1_000),
        "2**".repeat(1_000),
        format!("{}1{}", "(".repeat(200), ")".repeat(200)),
        format!("a{}", "+a".repeat(1_000)),
        format!("a{}", " or a".repeat(800)),
        "1 if a else ".repeat(300),
        format!("a{}", "[a or 1]".repeat(500)),
    ] {
        let error = Expression::parse(&source).unwrap_err().to_string();
        assert!(error.contains("this is nested or added up more than 150 times"), "{error}");
    }
    let error = Expression::parse(&"a".repeat(5_000)).unwrap_err().to_string();
    assert_eq!(error, "it has 5000 bytes and may have 4096, at column 1");
    assert_eq!(evaluated(&format!("0{}", " + 1".repeat(1_000)), &[]).unwrap(), "1000");
    assert_eq!(evaluated(&format!("v{}", " + v".repeat(120)), &[("v", Value::Int(1))]).unwrap(), "121");
}

#[test]
fn what_fails_for_every_sample_is_refused() {
    for (source, expected) in [
        ("volume * (1 / 0)", Some("division by zero, at column 10: `(1 / 0)`")),
        ("10 ** 9 ** 9", Some("a whole number of more than 1000 bits, at column 1: `10 ** 9 ** 9`")),
        ("max(volume, -'x')", Some("a number is wanted, and this is a text, at column 14: `'x'`")),
        ("(1 / 0 if volume else 1) + 1 // 0", Some("division by zero, at column 28: `1 // 0`")),
        ("1 < int('x') < volume", Some("\"x\" is no whole number, at column 5: `int('x')`")),
        ("1 / 0 if volume else 2", None),
        ("volume or 1 / 0", None),
        ("volume / 0", Some("division by zero, at column 1: `volume / 0`")),
        ("1 + volume % 0", Some("division by zero, at column 5: `volume % 0`")),
        ("volume // (1 - 1.0)", Some("division by zero, at column 1: `volume // (1 - 1.0)`")),
        ("0 and 1 / 0", None),
        ("volume / (0 or volume)", None),
        (
            "volume / 10^9",
            Some("`^` is exclusive or, and takes whole numbers; a power is `**`, at column 1: `volume / 10^9`"),
        ),
        ("volume & 1.0", Some("this operator takes whole numbers, at column 1: `volume & 1.0`")),
        ("-(volume * 0.5) << 1", Some("this operator takes whole numbers, at column 1: `-(volume * 0.5) << 1`")),
        (
            "1 | (2.0 if volume else float(3))",
            Some("this operator takes whole numbers, at column 1: `1 | (2.0 if volume else float(3))`"),
        ),
        ("volume // 10 ^ 9", None),
        ("int(volume / 10) ^ 9", None),
        ("1 | (2.0 if volume else 2)", None),
    ] {
        let error = Expression::parse(source).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "{source}");
    }
}

#[test]
fn what_is_no_number_for_any_sample_is_refused() {
    for (source, expected) in [
        ("time", Some("a number has to come out, and this is a text, at column 1: `time`")),
        ("100.0 / time", Some("`/` takes numbers, and this is a text, at column 9: `time`")),
        ("2 * (time + 1)", Some("`+` takes numbers, and this is a text, at column 6: `time`")),
        ("-time", Some("a number is wanted, and this is a text, at column 2: `time`")),
        ("volume + len(time * 2)", Some("`*` takes numbers, and this is a text, at column 14: `time`")),
        ("time + 's'", Some("a number has to come out, and this is a text, at column 1: `time + 's'`")),
        (
            "time if volume else 'x'",
            Some("a number has to come out, and this is a text, at column 1: `time if volume else 'x'`"),
        ),
        ("time or None", Some("a number has to come out, and this is a text, at column 1: `time or None`")),
        ("None", Some("a number has to come out, and this is None, at column 1: `None`")),
        ("[1, 2]", Some("a number has to come out, and this is a list, at column 1: `[1, 2]`")),
        ("volume * 'x'", Some("`*` takes numbers, and this is a text, at column 10: `'x'`")),
        ("volume", None),
        ("time or 1", None),
        ("volume and time", None),
        ("volume if time > '2' else 0", None),
        ("len(time + 's') + (time == 'x') + ('a' in time) + (not time)", None),
        ("1 if volume else time / 2", None),
        ("max(1, volume, len([time]))", None),
        ("time + volume", Some("`+` takes numbers, and this is a text, at column 1: `time`")),
        ("len(time + other)", None),
        ("len(other + 's')", None),
        ("time.x", None),
    ] {
        let says = |path: &Path| match path.to_string().as_str() {
            "time" => Says::Text,
            "volume" => Says::Number,
            _ => Says::Anything,
        };
        let checked = Expression::parse(source).and_then(|expression| expression.check_number(says));
        assert_eq!(checked.err().map(|error| error.to_string()).as_deref(), expected, "{source}");
    }
}

#[test]
fn volumes_are_finite_and_exact() {
    for (source, expected) in [
        ("2**64 - 1", Some(Volume::Count(u64::MAX))),
        ("2**64", Some(Volume::Real(18_446_744_073_709_551_616.0))),
        ("-2**63", Some(Volume::Integer(i64::MIN))),
        ("-2**63 - 1", Some(Volume::Real(-9_223_372_036_854_775_808.0))),
        ("1 > 0", Some(Volume::Count(1))),
        ("1e308 * 10", None),
        ("1e308 * 10 - 1e308 * 10", None),
        ("'1'", None),
        ("a", None),
    ] {
        let value = Expression::parse(source).unwrap().evaluate(&[Value::Missing]).unwrap();
        assert_eq!(value.volume(), expected, "{source}");
    }
}

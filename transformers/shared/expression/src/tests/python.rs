//! Thousands of expressions, evaluated by Python as well.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::{Expression, Value};

/// How many of each kind.
const EXPRESSIONS: usize = 6_000;

/// Evaluates each line of its input, and says what came of it. A missing entry is another one each time, as equality is
/// by identity.
const PYTHON: &str = r#"
import json, signal, sys, warnings
warnings.simplefilter("ignore")
class Missing:
    def __getattr__(self, key): return Missing()
    def __getitem__(self, key): return Missing()
    def __bool__(self): return False
    def __contains__(self, key): return False
    __iter__ = None
def shown(value):
    if isinstance(value, bool): return "b %s" % value
    if isinstance(value, int): return "i %d" % value
    if isinstance(value, float): return "f %s" % (value.hex() if value == value else "nan")
    if isinstance(value, str): return "s %s" % value
    if isinstance(value, (list, tuple)): return "l " + ",".join(shown(v) for v in value)
    if value is None: return "n"
    if isinstance(value, Missing): return "m"
    raise TypeError(type(value))
def rounded(number, *digits):
    # Python makes ten to that power first, and would not come to an end.
    if isinstance(number, int) and len(digits) == 1 and isinstance(digits[0], int) and digits[0] < -10_000: return 0
    return round(number, *digits)
functions = {f.__name__: f for f in (abs, bool, float, int, len, max, min, pow, sum)}
names = dict(functions, round=rounded, a=7, b=-3, c=2**64 - 1, d=0.1, e=-2.5e-7, t="kvm", s="12", z=0, l=[1, 2.5, "x"], n=None)
class Scope(dict):
    def __missing__(self, key): return Missing()
for line in sys.stdin:
    signal.alarm(20)
    try:
        compiled = compile(json.loads(line).strip(), "", "eval")
    except (SyntaxError, ValueError):
        print("syntax", flush=True)
        continue
    try:
        value = shown(eval(compiled, {"__builtins__": {}}, Scope(names)))
    except RecursionError:
        raise
    except Exception as error:
        value = "error %s" % type(error).__name__
    print(value.replace("\n", " "), flush=True)
"#;

fn names() -> BTreeMap<&'static str, Value> {
    let list = vec![Value::Int(1), Value::Float(2.5), Value::text("x")];
    [
        ("a", Value::Int(7)),
        ("b", Value::Int(-3)),
        ("c", Value::from(u64::MAX)),
        ("d", Value::Float(0.1)),
        ("e", Value::Float(-2.5e-7)),
        ("t", Value::text("kvm")),
        ("s", Value::text("12")),
        ("z", Value::Int(0)),
        ("l", Value::List(list.into())),
        ("n", Value::None),
    ]
    .into()
}

/// What Python makes of each expression.
fn python(expressions: &[String]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed to compare with");
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = expressions.iter().map(|source| format!("{source:?}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let said: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(output.status.success(), "Python ended at {:?}", expressions.get(said.len()));
    writer.join().unwrap().unwrap();
    said
}

fn ours(source: &str) -> Result<String, String> {
    let expression = Expression::read(source).map_err(|error| format!("syntax: {error}"))?;
    // What is refused because it fails for every sample has to fail in Python, too.
    Expression::parse(source).map_err(|error| format!("error: {error}"))?;
    let names = names();
    let slots = expression.paths().iter().map(|path| {
        let root = path.to_string();
        let mut parts = root.split('.');
        let mut value = names.get(parts.next().unwrap()).cloned().unwrap_or(Value::Missing);
        for key in parts {
            value = value.entry(key).ok_or_else(|| format!("error: {} has no {key}", value.word()))?;
        }
        Ok(value)
    });
    let slots: Vec<Value> = slots.collect::<Result<_, String>>()?;
    expression.evaluate(&slots).map(|value| shown(&value)).map_err(|error| format!("error: {error}"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::None => "n".into(),
        Value::Missing => "m".into(),
        Value::Bool(value) => format!("b {}", if *value { "True" } else { "False" }),
        Value::Int(value) => format!("i {value}"),
        Value::Big(value) => format!("i {value}"),
        Value::Float(value) => format!("f {}", hex(*value)),
        Value::Text(text) => format!("s {text}"),
        Value::List(list) => format!("l {}", list.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Map(_) => "map".into(),
    }
}

/// A real number as Python's `float.hex` writes it.
fn hex(value: f64) -> String {
    let sign = if value.is_sign_negative() && !value.is_nan() { "-" } else { "" };
    let (bits, exponent) = (value.to_bits() & ((1 << 52) - 1), (value.to_bits() >> 52) & 0x7ff);
    match (value, exponent) {
        _ if value.is_nan() => "nan".into(),
        _ if value.is_infinite() => format!("{sign}inf"),
        (0.0, _) => format!("{sign}0x0.0p+0"),
        (_, 0) => format!("{sign}0x0.{bits:013x}p-1022"),
        _ => format!("{sign}0x1.{bits:013x}p{:+}", exponent as i64 - 1023),
    }
}

/// Whether both say the same.
fn agree(ours: &Result<String, String>, python: &str) -> bool {
    match ours {
        Ok(ours) => ours == python,
        Err(error) if error.starts_with("syntax") => python == "syntax",
        Err(_) => python.starts_with("error"),
    }
}

/// What we refuse and Python does not, which it might calculate for hours.
fn beyond_us(ours: &Result<String, String>) -> bool {
    ours.as_ref().is_err_and(|error| {
        [
            "more than 1000 bits",
            "added up more than",
            // Texts and lists that are multiplied or formatted.
            "takes numbers, and this is a text",
            "takes numbers, and this is a list",
            "a list and a list have no order",
            "it takes several values or a list",
            // Found out before it is known whether it is asked for.
            " has no ",
            // Complex numbers.
            "to a power that is not whole",
            // Values that a function does not take are found when it is read.
            " takes one value, not ",
            " values, not ",
        ]
        .into_iter()
        .any(|kind| error.contains(kind))
    })
}

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-3_i64..20).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => (0_u32..70).prop_map(|n| format!("2**{n}")),
        2 => prop::num::f64::NORMAL.prop_map(|f| format!("{f:?}")),
        2 => (-100_i32..100, 1_i32..9).prop_map(|(a, b)| format!("{:?}", f64::from(a) / f64::from(b))),
        6 => prop::sample::select(vec!["a", "b", "c", "d", "e", "z", "m", "m.x.y", "m['k']"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["t", "s", "n", "l", "True", "False", "None", "'kvm'", "'1e3'", "l[0]", "l[-2]", "t[0]", "0x1F", "1_000", "1e3", ".5"])
            .prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "<", "<=",
            "==", "!=", ">=", ">", "and", "or", " in ", " not in ", " and ", " or ",
        ]);
        let spaced = (inner.clone(), operator, inner.clone()).prop_map(|(a, sign, b)| match sign {
            "and" | "or" => format!("({a} {sign} {b})"),
            _ => format!("{a} {sign} {b}"),
        });
        let one = prop::sample::select(vec!["-", "+", "~", "not ", "- -"]);
        let function = prop::sample::select(vec!["abs", "bool", "float", "int", "len", "max", "min", "pow", "round"]);
        prop_oneof![
            6 => spaced,
            2 => (one, inner.clone()).prop_map(|(sign, a)| format!("{sign}{a}")),
            3 => inner.clone().prop_map(|a| format!("({a})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
            1 => (function.clone(), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            1 => (function, inner.clone(), inner.clone()).prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("round({a}, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} in [{b}, 7, 'x'])")),
            1 => inner.clone().prop_map(|a| format!("({a} is None)")),
            1 => inner.prop_map(|a| format!("({a} is not True)")),
        ]
    })
}

/// Words in no order.
fn soup() -> impl Strategy<Value = String> {
    let words = vec![
        "1", "2.5", "a", "m", "'t'", "+", "-", "*", "**", "/", "//", "%", "(", ")", "[", "]", ",", ".", "x", "if",
        "else", "not", "and", "or", "in", "is", "None", "<", "==", "~", "&", "0x", "1e", "lambda", ":", "max(", "for",
        "_1", "1_0",
    ];
    let glue = prop::sample::select(vec!["", " ", " "]);
    prop::collection::vec((prop::sample::select(words), glue), 1..9)
        .prop_map(|words| words.into_iter().map(|(word, glue)| format!("{word}{glue}")).collect())
        // `m` and `in` together are a function of Python's there, and a name that no sample has here.
        .prop_filter("min", |source: &String| !source.contains("min"))
}

fn compare(strategy: impl Strategy<Value = String>) -> usize {
    let mut runner = TestRunner::default();
    let expressions = (0..EXPRESSIONS).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    let ours = expressions.map(|source| (ours(&source), source)).filter(|(ours, _)| !beyond_us(ours));
    let (ours, expressions): (Vec<_>, Vec<_>) = ours.unzip();
    let theirs = python(&expressions);
    assert_eq!(theirs.len(), expressions.len());
    let mut values = 0;
    for ((source, ours), theirs) in expressions.iter().zip(&ours).zip(&theirs) {
        assert!(agree(ours, theirs), "{source}\n  ours   {ours:?}\n  python {theirs}");
        values += usize::from(ours.is_ok());
    }
    values
}

#[test]
fn random_expressions_are_what_python_says() {
    let values = compare(expression());
    assert!(values > EXPRESSIONS / 3, "only {values} of {EXPRESSIONS} had a value");
}

#[test]
fn random_words_are_read_as_python_reads_them() {
    let mut runner = TestRunner::default();
    let expressions = (0..EXPRESSIONS).map(|_| soup().new_tree(&mut runner).unwrap().current());
    let expressions: Vec<String> = expressions.filter(|source| !beyond_us(&ours(source))).collect();
    for (source, theirs) in expressions.iter().zip(python(&expressions)) {
        match ours(source) {
            Ok(ours) => assert_eq!(ours, theirs, "{source}"),
            Err(error) => {
                assert!(error.starts_with("syntax") || theirs.starts_with("error"), "{source}: {error} {theirs}")
            }
        }
    }
}

/// Arithmetic where rounding is hard: huge whole numbers, halves, powers, both signs.
#[test]
fn numbers_are_calculated_as_python_does() {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (any::<i64>(), 0_u32..900).prop_map(|(n, shift)| format!("({n} << {shift})")),
        (any::<i128>(), any::<u64>()).prop_map(|(n, m)| format!("({n} * {m})")),
        prop::num::f64::ANY.prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("({f:?})")),
        (-1_000_i32..1_000).prop_map(|n| format!("{:?}", f64::from(n) / 8.0)),
        (-40_i32..40).prop_map(|n| n.to_string()),
    ];
    let pair = (number.clone(), number, 0_usize..14).prop_map(|(a, b, which)| match which {
        0 => format!("{a} / {b}"),
        1 => format!("{a} // {b}"),
        2 => format!("{a} % {b}"),
        3 => format!("{a} * {b}"),
        4 => format!("{a} < {b}"),
        5 => format!("{a} == {b}"),
        6 => format!("{a} <= {b}"),
        7 => format!("round({a})"),
        8 => format!("round({a}, {})", b.len() as i64 % 9 - 4),
        9 => format!("float({a})"),
        10 => format!("int({a})"),
        11 => format!("{a} + {b}"),
        12 => format!("-{a} >> {}", b.len() * 3),
        _ => format!("({a}) ** {}", b.len() as i64 % 9 - 4),
    });
    let values = compare(pair);
    assert!(values > EXPRESSIONS / 2, "only {values} of {EXPRESSIONS} had a value");
}

proptest! {
    #[test]
    fn whatever_stands_there_is_read_or_refused(source in ".{0,200}", words in soup()) {
        for source in [source, words] {
            if let Ok(expression) = Expression::parse(&source) {
                let slots = vec![Value::Int(3); expression.paths().len()];
                drop(expression.evaluate(&slots));
            }
        }
    }
}

//! What was read, as a tree.

use crate::error::Span;
use crate::functions::Function;
use crate::value::Value;

/// A part of an expression, and where it stands.
#[derive(Debug)]
pub struct Node {
    pub at: Span,
    pub what: What,
}

/// What a part is.
#[derive(Debug)]
pub enum What {
    Constant(Value),
    /// What stands under a path, by the path's place.
    Slot(usize),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<[Node; 2]>),
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// The condition, what it is if that holds, and what it is else.
    If(Box<[Node; 3]>),
    Attribute(Box<Node>, String),
    Index(Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    List(Vec<Node>),
}

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    Minus,
    Plus,
    Invert,
    Not,
}

/// An operator with two operands that are both evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    And,
    Or,
    Xor,
    Left,
    Right,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    In,
    NotIn,
    Is,
    IsNot,
}

// === impl Binary ===

impl Binary {
    /// The operator, how tightly it binds, and whether it binds to the right.
    pub const ALL: [(&'static str, Self, u8); 11] = [
        ("|", Self::Or, 1),
        ("^", Self::Xor, 2),
        ("&", Self::And, 3),
        ("<<", Self::Left, 4),
        (">>", Self::Right, 4),
        ("+", Self::Add, 5),
        ("-", Self::Subtract, 5),
        ("*", Self::Multiply, 6),
        ("/", Self::Divide, 6),
        ("//", Self::FloorDivide, 6),
        ("%", Self::Remainder, 6),
    ];

    /// Whether it has no result where the second operand is zero.
    pub fn divides(self) -> bool {
        matches!(self, Self::Divide | Self::FloorDivide | Self::Remainder)
    }

    /// Why it has no result where an operand is a real number, if it has none.
    pub fn refusal_of_reals(self) -> Option<&'static str> {
        match self {
            Self::Xor => Some("`^` is exclusive or, and takes whole numbers; a power is `**`"),
            Self::And | Self::Or | Self::Left | Self::Right => Some("this operator takes whole numbers"),
            _ => None,
        }
    }

    /// As it is written.
    pub fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, binary, _)| *binary == self).map_or("**", |(sign, ..)| sign)
    }
}

//! Which target expressions hold wherever others do.

use super::{Factor, TargetExpr, TargetFactor};
use crate::rule::Effect;

impl TargetExpr {
    /// Whether `wide`, in a rule of that effect, is about every target that this is about in a rule of this effect. A
    /// yes is certain, a no may be too careful.
    pub(crate) fn is_within(&self, effect: Effect, wide: &Self, other: Effect) -> bool {
        let outside = |expr: &Self, effect| effect == Effect::Forbid || expr.names_outside();
        let gateway = !wide.is_only_negative() || self.is_only_negative();
        // A forbid of networks also fences what names resolve to, by the first network of the expression.
        let fenced = self == wide || self.networks() < 2 || wide.networks() == 0;
        gateway
            && fenced
            && (outside(wide, other) || !outside(self, effect))
            && wide
                .factors
                .iter()
                .all(|asked| self.factors.iter().any(|said| said.implies(asked)) || asked.is_any())
    }

    fn networks(&self) -> usize {
        self.factors.iter().filter(|factor| matches!(factor.of, TargetFactor::Address(_))).count()
    }
}

impl Factor {
    fn is_any(&self) -> bool {
        !self.negated && self.of == TargetFactor::Any
    }

    fn implies(&self, asked: &Self) -> bool {
        match (self.negated, asked.negated) {
            (false, false) => self.of.is_within(&asked.of),
            (true, true) => asked.of.is_within(&self.of),
            (true, false) | (false, true) => false,
        }
    }
}

impl TargetFactor {
    fn is_within(&self, wide: &Self) -> bool {
        match (self, wide) {
            (_, Self::Any) => true,
            (Self::Alias(name), Self::Aliases(star)) => star.matches(name.as_str(), '/'),
            (Self::Aliases(star), Self::Aliases(wide)) => star.is_within(wide, '/'),
            (Self::Name(star), Self::Name(wide)) => star.is_within(wide, '/'),
            (Self::Address(network), Self::Address(wide)) => wide.contains(network),
            _ => self == wide,
        }
    }
}

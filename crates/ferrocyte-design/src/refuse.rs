//! What a formula cannot hold, by name, and what to write instead.

/// What to do instead of an operator that formulas elsewhere know; `None` for one that nobody knows.
pub(crate) fn operator(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "^" | "**" => "write crossings out, as in `a*b*c`; for a power of a number write `I(age^2)`",
        "/" => {
            "write `a + a:b` for `a/b`; to divide numbers write `I(a/b)`; `/` nests inside random terms, `(1 | a/b)`"
        }
        "%in%" => "write `a:b` for `b %in% a`",
        "|" | "||" => "put random terms in parentheses, as in `(1 | sample)`",
        "~" => "the response is every gene: write the right-hand side only, as in `~ donor + condition`",
        "=" | "==" | "<" | ">" | "<=" | ">=" | "!=" | "&" | "&&" | "!" => {
            "make the comparison a column of obs first, then name the column"
        }
        "[" | "]" | "$" | "@" => "name a column of obs",
        "," => "the functions of a formula take one argument",
        "\"" | "'" => "put names of columns in backquotes, as in `` `cell type` ``",
        "%%" | "%/%" => "compute the values into a column of obs first, then name the column",
        _ => return None,
    })
}

/// What to do instead of a function that formulas elsewhere know; `None` for one that nobody knows.
pub(crate) fn function(name: &str) -> Option<&'static str> {
    Some(match name {
        "poly" => "write powers out, as in `age + I(age^2)`",
        "bs" | "ns" | "cr" | "cc" | "s" | "te" | "ti" | "t2" => {
            "compute the basis into columns of obs first, then name the columns"
        }
        "offset" => "name the quantity as a covariate, as in `log(libsize)`, or normalise the values",
        "scale" | "center" | "standardize" => {
            "leave it out: tests do not depend on the units of a covariate; to shift or rescale it write `I((age - 40)/10)`"
        }
        "C" | "contrasts" | "contr.sum" | "contr.treatment" | "contr.helmert" | "Treatment" | "Sum" => {
            "coding is by treatment contrasts; put the reference level first in the order of the categories"
        }
        "relevel" | "fct_relevel" | "ordered" | "droplevels" => {
            "set the order of the categories in obs; unused levels are dropped by themselves"
        }
        "as.factor" | "as.character" | "category" => "write `factor(x)`",
        "as.numeric" | "as.integer" | "Q" => "name the column; put odd names in backquotes, as in `` `cell type` ``",
        "ln" => "write `log(x)`, the natural logarithm",
        "cut" | "ifelse" | "interaction" | "cbind" | "abs" | "rank" | "round" | "sin" | "cos" | "lag" | "log2p1" => {
            "compute the values into a column of obs first, then name the column"
        }
        _ => return None,
    })
}

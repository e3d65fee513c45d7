"""Writes `reference.tsv`: tails of distributions with 50 digits of work, 20 digits kept.

Run with Python 3 and mpmath: ``python make_reference.py > reference.tsv`` (two minutes).

Columns: function, up to three arguments (`-` where there are fewer), value. All arguments are doubles, written so that
they read back exactly. The tails are computed twice, by unrelated routes, wherever both are feasible: by the series
of the incomplete gamma and beta functions, and by integrating the density in a variable in which it is log-concave;
the script stops if they disagree.
"""

import itertools
import sys

import mpmath as mp

mp.mp.dps = 50
INF = float("inf")


def integral(log_density, start, scale):
    """The integral of exp(log_density(u) - log_density(start)) beyond `start`, in direction and steps of `scale`."""
    top = log_density(start)
    pieces = [start + scale * k for k in (0, 0.5, 1, 2, 3, 4, 6, 8)]
    reach = mp.mpf(8)
    while top - log_density(start + scale * reach) < 140:
        reach *= mp.mpf("1.5")
        pieces.append(start + scale * reach)
    value = mp.quad(lambda u: mp.exp(log_density(u) - top), pieces) * mp.sign(scale)
    return top + mp.log(value)


def gamma_tails(a, y):
    """(ln lower, ln upper) of the gamma law of shape a at y."""

    def log_density(u):
        return a * u - mp.exp(u) - mp.loggamma(a)

    u = mp.log(y)
    slope = abs(a - y)
    scale = 2 / (slope + mp.sqrt(slope**2 + 4 * max(a, y)))
    if y > a:
        upper = integral(log_density, u, scale)
        lower = mp.log1p(-mp.exp(upper))
    else:
        lower = integral(log_density, u, -scale)
        upper = mp.log1p(-mp.exp(lower))
    if max(a, y) < 3000:
        series = mp.log(y**a * mp.exp(-y) / mp.gamma(a + 1) * mp.hyp1f1(1, a + 1, y)) if y < a + 40 else lower
        agree("gamma", lower, series, a, y)
    return lower, upper


def beta_tails(a, b, x, y):
    """(ln lower, ln upper) of the beta law at x = 1 - y."""

    def log_density(u):
        return constant - a * mp.log1p(mp.exp(-u)) - b * mp.log1p(mp.exp(u))

    constant = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    u = mp.log(x / y)
    slope = abs(a * y - b * x)
    scale = 2 / (slope + mp.sqrt(slope**2 + 4 * (a + b) * x * y))
    if a * y < b * x:
        upper = integral(log_density, u, scale)
        lower = mp.log1p(-mp.exp(upper))
    else:
        lower = integral(log_density, u, -scale)
        upper = mp.log1p(-mp.exp(lower))
    if max(a, b) < 3000:
        series = mp.log(mp.betainc(a, b, 0, x, regularized=True)) if lower > -1000 else lower
        agree("beta", lower, series, a, b, x)
    return lower, upper


def agree(name, one, other, *arguments):
    if abs(one - other) > mp.mpf("1e-19") * max(1, abs(one)):
        sys.exit(f"{name}{arguments}: {one} against {other}")


def normal_ln_upper(z):
    z = mp.mpf(z)
    if z < 100:
        return mp.log(mp.erfc(z / mp.sqrt(2)) / 2)
    fraction = z
    for k in range(60, 0, -1):
        fraction = z + k / fraction
    return -z * z / 2 - mp.log(2 * mp.pi) / 2 - mp.log(fraction)


def t_ln_two_sided(t, df):
    if df == INF:
        return normal_ln_upper(abs(t)) + mp.log(2)
    t, df = mp.mpf(t), mp.mpf(df)
    x, y = df / (df + t * t), t * t / (df + t * t)
    return beta_tails(df / 2, mp.mpf(1) / 2, x, y)[0]


def f_tails(x, df1, df2):
    if df2 == INF:
        return gamma_tails(mp.mpf(df1) / 2, mp.mpf(x) * df1 / 2)
    x, df1, df2 = mp.mpf(x), mp.mpf(df1), mp.mpf(df2)
    return beta_tails(df1 / 2, df2 / 2, df1 * x / (df2 + df1 * x), df2 / (df2 + df1 * x))


def write(function, arguments, value):
    cells = [repr(float(a)) for a in arguments] + ["-"] * (3 - len(arguments))
    print("\t".join([function, *cells, mp.nstr(value, 20, min_fixed=0, max_fixed=0)]))


def main():
    print("function\ta\tb\tc\tvalue")
    for x in (1e-8, 0.05, 0.3, 1.0, 1.4, 2.0, 2.5, 9.9, 10.1, 57.3, 1e4, 1e10):
        write("digamma", [x], mp.digamma(x))
        write("trigamma", [x], mp.psi(1, x))
        write("ln_gamma", [x], mp.loggamma(x))
        stirling = mp.loggamma(mp.mpf(x) + 1) - (mp.mpf(x) + mp.mpf("0.5")) * mp.log(x) + x - mp.log(2 * mp.pi) / 2
        write("stirling_error", [x], stirling)
    for z in (-40.0, -8.3, -1.0, -1e-3, 0.0, 1e-12, 0.4999, 0.7, 1.96, 4.999, 5.001, 8.3, 26.1, 37.0, 100.0, 1414.0, 1e5):
        write("normal_ln_upper", [z], normal_ln_upper(z))
    for df in (0.1, 0.5, 1.0, 1.7, 2.0, 3.3, 8.0, 9.1, 30.0, 71.37, 500.0, 4444.4, 2e5, 1e7, 1e10, INF):
        for t in (1e-9, 0.01, 0.2236, 0.5, 1.0, 1.3, 1.96, 2.5, 2.828, 2.829, 4.0, 7.0, 15.0, 40.0, 300.0, 1500.0, 1e5, 1e12):
            if df >= 1e7 and t > 1500:
                continue
            write("t_ln_two_sided", [t, df], t_ln_two_sided(t, df))
    write("t_ln_two_sided", [1e300, 0.1], t_ln_two_sided(1e300, 0.1))
    write("t_ln_two_sided", [1e300, 50.0], t_ln_two_sided(1e300, 50.0))
    for df in (0.1, 0.5, 1.0, 2.0, 3.3, 9.0, 40.0, 150.0, 398.0, 402.0, 5e3, 1e6, 1e10):
        for z in (-30.0, -6.0, -1.0, -1e-3, 0.0, 0.1, 2.0, 8.0, 40.0, 300.0, 1400.0):
            # Rounded doubles at z standard deviations from the mean (of ln x, on the left).
            x = df + z * (2 * df) ** 0.5
            if x <= 0:
                x = df * mp.exp(z * mp.sqrt(mp.mpf(2) / df) / 3)
                if x < 1e-30:
                    continue
            x = float(mp.nstr(mp.mpf(x), 12))
            lower, upper = gamma_tails(mp.mpf(df) / 2, mp.mpf(x) / 2)
            write("chi_squared_ln_lower", [x, df], lower)
            write("chi_squared_ln_upper", [x, df], upper)
    points = (0.01, 0.5, 0.99, 1.0, 1.0001, 1.3, 4.0, 60.0, 500.0)
    for df1, df2 in itertools.product((0.3, 1.0, 2.5, 9.0, 50.0, 3e3), (0.7, 5.0, 61.3, 3999.0, 4001.0, 1e5, 1e8, INF)):
        for x in points[(int(df1) % 2) :: 2]:
            lower, upper = f_tails(x, df1, df2)
            write("f_ln_lower", [x, df1, df2], lower)
            write("f_ln_upper", [x, df1, df2], upper)
    for x, df1, df2 in (
        (500.0, 50.0, 1e5),
        (500.0, 50.0, 1e8),
        (500.0, 10.0, 1e8),
        (1e5, 50.0, 1e8),
        (1.001, 1e7, 1e9),
        (0.999, 1e9, 1e9),
        (1.2, 1e5, 1e5),
    ):
        lower, upper = f_tails(x, df1, df2)
        write("f_ln_lower", [x, df1, df2], lower)
        write("f_ln_upper", [x, df1, df2], upper)


if __name__ == "__main__":
    main()

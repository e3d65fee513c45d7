# Fits genes with lmerTest, as its users do; called by lmm.py as `Rscript lmm_lmer.R FOLDER FORMULA REPEATS`.
# FOLDER holds shape.txt (genes, cells, coefficients, samples), counts.f64 (genes x cells) and obs.csv.
# Prints the versions, the seconds of each gene (the least of the repeats), then a line per estimate:
# gene (from 0), name, estimate, standard error, degrees of freedom.

suppressPackageStartupMessages(library(lmerTest))

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
model <- as.formula(paste("y", arguments[2]))
repeats <- as.integer(arguments[3])

shape <- scan(file.path(folder, "shape.txt"), quiet = TRUE)
counts <- readBin(file.path(folder, "counts.f64"), "double", shape[1] * shape[2], endian = "little")
responses <- log1p(matrix(counts, nrow = shape[2]))
cells <- read.csv(file.path(folder, "obs.csv"), stringsAsFactors = TRUE)

# The fit, and what a user reads off it: estimates, standard errors, Satterthwaite's df, t and p.
tested <- function(gene) {
  cells$y <- responses[, gene]
  coef(summary(suppressMessages(suppressWarnings(lmer(model, data = cells)))))
}

cat("versions R", paste(R.version$major, R.version$minor, sep = "."), "lme4", as.character(packageVersion("lme4")),
    "lmerTest", as.character(packageVersion("lmerTest")), "\n")
invisible(tested(1))
for (gene in seq_len(shape[1])) {
  seconds <- Inf
  for (i in seq_len(repeats)) {
    start <- proc.time()[["elapsed"]]
    table <- tested(gene)
    seconds <- min(seconds, proc.time()[["elapsed"]] - start)
  }
  cat("seconds", seconds, "\n")
  for (name in rownames(table)) {
    cat(gene - 1, name, sprintf("%.17g", table[name, c("Estimate", "Std. Error", "df")]), sep = "\t")
    cat("\n")
  }
}

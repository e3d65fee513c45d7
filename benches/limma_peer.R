# The work of `benches/limma.py` by limma and edgeR: the same words as in `limma_work.py`.
#
# Rscript limma_peer.R FOLDER VERB REPEATS

suppressPackageStartupMessages({
  library(limma)
  library(edgeR)
})
ENOUGH <- 6

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
verb <- arguments[2]
repeats <- as.integer(arguments[3])

path <- function(name) file.path(folder, name)
numbers <- function(name, n) readBin(path(name), "double", n, size = 8, endian = "little")

shape <- scan(path("shape.txt"), quiet = TRUE)
n_genes <- shape[1]
n_samples <- shape[2]
n_coefficients <- shape[3]
genes <- paste0("gene", seq_len(n_genes))
samples <- paste0("sample", seq_len(n_samples))

counts <- matrix(numbers("counts.f64", n_genes * n_samples), n_genes, n_samples, byrow = TRUE,
                 dimnames = list(genes, samples))
design <- matrix(numbers("design.f64", n_samples * n_coefficients), n_samples, n_coefficients, byrow = TRUE,
                 dimnames = list(samples, paste0("x", seq_len(n_coefficients))))
contrast <- matrix(0, n_coefficients, 1)
contrast[1:2, 1] <- c(-1, 1)

log_values <- function() log2(t((t(counts) + 0.5) / (colSums(counts) + 1)) * 1e6)
sets <- function() lapply(strsplit(readLines(path("sets.txt")), " "), function(set) as.integer(set) + 1L)
blocks <- function() numbers("blocks.f64", n_samples)
moderated <- function(fit) {
  fit <- eBayes(contrasts.fit(fit, contrast))
  topTable(fit, number = Inf)
  fit$t
}

# Each gives the work: what is done before it is not measured.
verbs <- list(
  pipeline = function() function() moderated(lmFit(voom(counts, design), design)),
  quality = function() function() moderated(lmFit(voomWithQualityWeights(counts, design), design)),
  fused = function() function() moderated(voomLmFit(counts, design)),
  robust = function() {
    fit <- contrasts.fit(lmFit(voom(counts, design), design), contrast)
    function() eBayes(fit, robust = TRUE)$t
  },
  trend = function() {
    fit <- contrasts.fit(lmFit(voom(counts, design), design), contrast)
    function() eBayes(fit, trend = TRUE)$t
  },
  dupcor = function() {
    values <- log_values()
    block <- blocks()
    function() duplicateCorrelation(values, design, block = block)$consensus
  },
  dupcor_weighted = function() {
    values <- voom(counts, design)
    block <- blocks()
    function() duplicateCorrelation(values, design, block = block)$consensus
  },
  tmm = function() function() calcNormFactors(counts),
  de = function() {
    group <- factor(numbers("groups.f64", n_samples))
    function() {
      y <- DGEList(counts, group = group)
      y <- y[filterByExpr(y), , keep.lib.sizes = FALSE]
      fit <- eBayes(contrasts.fit(voomLmFit(calcNormFactors(y), design), contrast))
      nrow(topTable(fit, number = Inf))
    }
  },
  camera = function() {
    values <- log_values()
    index <- sets()
    function() camera(values, index, design, contrast[, 1], sort = FALSE)$PValue
  },
  fry = function() {
    values <- log_values()
    index <- sets()
    function() fry(values, index, design, contrast[, 1], sort = "none")$PValue
  },
  mroast = function() {
    values <- log_values()
    index <- sets()
    function() mroast(values, index, design, contrast[, 1], sort = "none", nrot = 1999)$PValue
  }
)

# Bytes of this process; 0 where the system does not tell.
memory <- function(name) {
  if (!file.exists("/proc/self/status")) return(0)
  line <- grep(paste0("^", name, ":"), readLines("/proc/self/status"), value = TRUE)
  1024 * as.numeric(strsplit(line, "[[:space:]]+")[[1]][2])
}

work <- verbs[[verb]]()
invisible(gc())
try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)
before <- memory("VmRSS")
peak <- 0
cpu <- wall <- c()
while (length(wall) == 0 || (length(wall) < repeats && sum(wall) < ENOUGH)) {
  # The work is noisy on standard output.
  took <- suppressMessages(system.time(invisible(capture.output(found <- work()))))
  cpu <- c(cpu, took[["user.self"]] + took[["sys.self"]])
  wall <- c(wall, took[["elapsed"]])
  if (peak == 0) peak <- memory("VmHWM")
}
writeBin(as.double(found), path(paste0("limma-", verb, ".f64")), size = 8, endian = "little")
cat("versions R", paste(R.version$major, R.version$minor, sep = "."), "limma", format(packageVersion("limma")),
    "edgeR", format(packageVersion("edgeR")), "\n")
cat("cpu", min(cpu), "\n")
cat("wall", min(wall), "\n")
cat("memory", max(peak - before, 0), "\n")

#!/usr/bin/env bash
# A study on a cluster: shards as an array job, then merge and fit.
#
#   STUDY=study.h5ad FORMULA='~ log(libsize) + condition + (1 | sample)' CONTRAST=condition:stim:ctrl \
#     docs/slurm/submit.sh 8
set -euo pipefail
shards=$1
here=$(cd "$(dirname "$0")" && pwd)
# Refuses more shards than the study has blocks, before anything waits in a queue.
ferrocyte lmm plan "$STUDY" --shards "$shards" >&2
job=$(sbatch --parsable --export=ALL --array="1-$shards" "$here/sums.sh")
sbatch --parsable --export=ALL --dependency="afterok:$job" "$here/fit.sh"

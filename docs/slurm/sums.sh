#!/usr/bin/env bash
# One shard of a study. Run as an array of N tasks; each writes one part file.
#
#   STUDY=study.h5ad FORMULA='~ log(libsize) + condition + (1 | sample)' sbatch --array=1-8 docs/slurm/sums.sh
#
#SBATCH --job-name=ferrocyte-sums
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
set -euo pipefail
parts=${PARTS:-parts}
mkdir -p "$parts"
ferrocyte lmm sums "$STUDY" --formula "$FORMULA" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --threads "${SLURM_CPUS_PER_TASK:-1}" -o "$parts/$SLURM_ARRAY_TASK_ID.npz"

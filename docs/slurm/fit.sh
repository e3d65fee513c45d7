#!/usr/bin/env bash
# The shards to the whole, and the whole to a fit and its tests. Run when all shards are there.
#
#   CONTRAST=condition:stim:ctrl sbatch --dependency=afterok:$JOB docs/slurm/fit.sh
#
#SBATCH --job-name=ferrocyte-fit
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
set -euo pipefail
parts=${PARTS:-parts}
ferrocyte merge "$parts"/*.npz -o sums.npz
ferrocyte lmm fit sums.npz --contrast "$CONTRAST" --threads "${SLURM_CPUS_PER_TASK:-1}" -o fit.npz --table table.tsv

import { CLIENT_MUTANTS } from './client-mutants.ts'
import { CRYPTO_MUTANTS, DATA_MUTANTS } from './data-mutants.ts'
import { HOST_MUTANTS } from './host-mutants.ts'
import { HTTP_MUTANTS } from './http-mutants.ts'
import { IDENTITY_MUTANTS } from './identity-mutants.ts'
import { LOG_MUTANTS } from './log-mutants.ts'
import type { Mutant } from './mutant.ts'
import { RELAY_MUTANTS } from './relay-mutants.ts'
import { REPO_MUTANTS } from './repo-mutants.ts'
import { STREAM_MUTANTS } from './stream-mutants.ts'

/** Every deliberate bug, from the bytes up. */
export const MUTANTS: readonly Mutant[] = [
  ...DATA_MUTANTS,
  ...CRYPTO_MUTANTS,
  ...REPO_MUTANTS,
  ...IDENTITY_MUTANTS,
  ...STREAM_MUTANTS,
  ...LOG_MUTANTS,
  ...RELAY_MUTANTS,
  ...HTTP_MUTANTS,
  ...HOST_MUTANTS,
  ...CLIENT_MUTANTS,
]

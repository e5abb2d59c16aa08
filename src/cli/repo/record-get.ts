/** `skein record get`: one record, proven. */

import { SkeinError } from '../../lib/errors.ts'
import { parseRepoPath } from '../../syntax/repo-path.ts'
import type { CommandCall } from '../shared/command.ts'
import { given } from '../shared/common-options.ts'
import { writeWhole } from '../shared/files.ts'
import type { RECORD_GET_OPTIONS } from './record-commands.ts'
import { fetchProof, printRecord } from './record-proof.ts'
import { RepoSource } from './repo-source.ts'
import { openSource, parseAccount } from '../shared/targets.ts'

/** See docs/cli.md. */
export async function runRecordGet(call: CommandCall<typeof RECORD_GET_OPTIONS>): Promise<number> {
  const { words, options, output, session } = call
  const [target = '', ...rest] = words
  const name = parseAccount(target)
  const [collection, rkey] = [name.collection, name.rkey, ...rest].filter((part) => part !== null)
  const path = `${collection ?? ''}/${rkey ?? ''}`
  if (parseRepoPath(path) === null) {
    throw new SkeinError(
      'OPTION_INVALID',
      'record get: name a record as at://<account>/<collection>/<rkey>, or by these three words',
      { path: JSON.stringify(path.slice(0, 80)) },
    )
  }
  const { account, client } = await openSource(session, name, given(options.service))
  const source = new RepoSource(session, options, {
    origin: client.service,
    did: account.did,
    account,
    client,
    name,
  })
  const proof = await fetchProof(source, path)
  const file = given(options.car)
  if (file !== null && proof.kind === 'proven') {
    await writeWhole(file, proof.car)
    output.remark(`the proof is in ${file}`)
  }
  return printRecord(output, proof, options.prove ? 'proof' : 'record')
}

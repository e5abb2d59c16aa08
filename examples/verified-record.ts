import { createIdentities, SyncClient } from '../src/client/index.ts'

const did = process.argv[2] ?? 'did:plc:z72i7hdynmk6r22z27h6tvur'
const identities = createIdentities()
const account = await identities.resolve(did)
const host = account.ok ? account.identity.pdsEndpoint : null

const client = new SyncClient(host ?? 'bsky.social', { identities })
const profile = { did, collection: 'app.bsky.actor.profile', rkey: 'self' }
const { rev, record } = await client.verified.getRecord(profile)
process.stdout.write(`${rev} ${record?.valid ? JSON.stringify(record.value) : 'no profile'}\n`)
await identities.close()

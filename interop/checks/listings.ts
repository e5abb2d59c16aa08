/** Listings by plain fetch, and accounts as their homes list them. */

import type { Json } from '../net/xrpc.ts'
import { query } from '../net/xrpc.ts'
import type { Account, Scene } from '../scenario/scene.ts'

/** Pages after which a listing counts as endless. */
const PAGES_MAX = 100

/** The entries at `key` of all pages, `limit` to a page. */
export async function listAll(
  origin: string,
  nsid: string,
  key: string,
  limit: number,
): Promise<Json[]> {
  const all: Json[] = []
  let cursor: string | null = null
  for (let page = 0; page < PAGES_MAX; page++) {
    const params = { limit: String(limit), ...(cursor === null ? {} : { cursor }) }
    const answer: Json = await query(origin, nsid, { params })
    const items = answer[key]
    if (!Array.isArray(items)) throw new Error(`${nsid} answers no ${key}`)
    all.push(...items.map((item): Json => item))
    if (typeof answer['cursor'] !== 'string') return all
    cursor = answer['cursor']
  }
  throw new Error(`${nsid} did not end after ${PAGES_MAX} pages`)
}

/** The accounts that are active at their homes. */
export async function activeAccounts(scene: Scene): Promise<Account[]> {
  const active: Account[] = []
  for (const account of scene.accounts) {
    if (account.deleted) continue
    const params = { did: account.did }
    const status = await query(account.home.origin, 'com.atproto.sync.getRepoStatus', { params })
    if (status['active'] === true) active.push(account)
  }
  return active
}

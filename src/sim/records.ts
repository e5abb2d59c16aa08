/** Records as the network has them: what kinds, how often, how large. */
import { CidLinkWrapper } from '@atcute/cid'
import { CODEC_DAG_CBOR, cidOf } from '../data/cid.ts'
import { utf8 } from '../lib/bytes.ts'
import type { Random } from '../lib/random.ts'
import { tidOf } from '../syntax/tid.ts'
import { blobReference, type SimBlob } from './blobs.ts'
import { below, logNormal, pickOf, weighted } from './distributions.ts'
import { datetimeOf } from './messages.ts'

/** Shares of new records by collection, in percent. */
const COLLECTION_WEIGHTS = {
  'app.bsky.feed.post': 60,
  'app.bsky.feed.like': 20,
  'app.bsky.graph.follow': 10,
  'app.bsky.feed.repost': 5,
  'app.bsky.actor.profile': 5,
} as const

export type Collection = keyof typeof COLLECTION_WEIGHTS

/** Lengths of post texts, characters; the lexicon allows 300 graphemes. */
const TEXT = { median: 70, sigma: 0.9, min: 1, max: 1_500 } as const
/** Share of posts that answer another one; shares in percent of those that show something. */
const REPLY_SHARE = 0.45
const EMBED_WEIGHTS = { none: 65, external: 20, images: 15 } as const
/** Images of a post that shows any, in percent of such posts; the lexicon allows 4. */
const IMAGE_WEIGHTS = { 1: 68, 2: 16, 3: 6, 4: 10 } as const
/** Share of profiles with an avatar. */
const AVATAR_SHARE = 0.85
/** Characters of the description of an image, which most people leave out. */
const ALT_SHARE = 0.3
const ALT_TEXT = { median: 50, sigma: 0.7, min: 1, max: 500 } as const
/** Sides of images, pixels. */
const SIDES = [600, 750, 828, 1_000, 1_080, 1_170, 1_334, 1_600, 2_000] as const
const CLOCK_IDS = 1_024

const WORDS = (
  'a the of to and in is it you that was for on are with as at be this have from or one had by ' +
  'not but what some we can out other were all there when up use your how said each she which ' +
  'their time will way about many then them write would like so these her long make thing see ' +
  'him two has look more day could go come did number sound most people over know water than ' +
  'first who may down side been now find any new work part take get place made live where after'
).split(' ')

function textOf(random: Random, chars: number): string {
  let text = pickOf(random, WORDS)
  while (text.length < chars) text += ` ${pickOf(random, WORDS)}`
  return text.slice(0, Math.max(1, Math.round(chars)))
}

/** What a record may refer to. */
export interface RecordContext {
  readonly random: Random
  readonly nowMs: number
  /** DID of anybody. */
  readonly someone: () => string
  /** An image, uploaded for this record or before; without it records refer to no blobs. */
  readonly image?: () => SimBlob
}

/** A record that belongs in a collection, and the key that it is given. */
export interface NewRecord {
  readonly collection: Collection
  readonly rkey: string
  readonly record: Readonly<Record<string, unknown>>
  /** What it refers to, in order of mention; one may come twice. */
  readonly blobs: readonly SimBlob[]
}

/** The collection of the next new record. */
export function nextCollection(random: Random): Collection {
  return weighted(random, COLLECTION_WEIGHTS)
}

/** The collection of a path, if it is one of those that the network writes by itself. */
export function collectionOf(path: string): Collection | null {
  const name = path.slice(0, path.indexOf('/'))
  return isCollection(name) ? name : null
}

function isCollection(name: string): name is Collection {
  return name in COLLECTION_WEIGHTS
}

/** A record of the collection. Only profiles have a fixed key. */
export function makeRecord(context: RecordContext, collection: Collection): NewRecord {
  const { random, nowMs } = context
  const micros = Math.floor(nowMs) * 1_000 + below(random, 1_000)
  const rkey = collection === 'app.bsky.actor.profile' ? 'self' : tidOf(micros, clockId(random))
  const createdAt = datetimeOf(nowMs)
  const blobs: SimBlob[] = []
  const { image } = context
  const noted = (upload: () => SimBlob): SimBlob => {
    const blob = upload()
    blobs.push(blob)
    return blob
  }
  const noting = image === undefined ? context : { ...context, image: () => noted(image) }
  const content = contentOf(noting, collection)
  return { collection, rkey, record: { $type: collection, ...content, createdAt }, blobs }
}

function contentOf(context: RecordContext, collection: Collection): object {
  const { random, someone } = context
  switch (collection) {
    case 'app.bsky.feed.post':
      return postOf(context)
    case 'app.bsky.feed.like':
    case 'app.bsky.feed.repost':
      return { subject: reference(context) }
    case 'app.bsky.graph.follow':
      return { subject: someone() }
    case 'app.bsky.actor.profile':
      break
  }
  const { image } = context
  const hasAvatar = image !== undefined && random.next() < AVATAR_SHARE
  return {
    displayName: textOf(random, 12),
    description: textOf(random, logNormal(random, TEXT)),
    ...(hasAvatar ? { avatar: blobReference(image()) } : {}),
  }
}

function postOf(context: RecordContext): object {
  const { random } = context
  const text = textOf(random, logNormal(random, TEXT))
  const reply =
    random.next() < REPLY_SHARE
      ? { reply: { root: reference(context), parent: reference(context) } }
      : {}
  const embed = embedOf(context)
  return { text, langs: ['en'], ...reply, ...(embed === null ? {} : { embed }) }
}

function embedOf({ random, image }: RecordContext): object | null {
  const kind = weighted(random, EMBED_WEIGHTS)
  if (kind === 'none') return null
  if (kind === 'images') {
    if (image === undefined) return null
    const count = Number(weighted(random, IMAGE_WEIGHTS))
    const images = Array.from({ length: count }, () => imageOf(random, image()))
    return { $type: 'app.bsky.embed.images', images }
  }
  const external = {
    uri: `https://www.example.com/${textOf(random, 24).replaceAll(' ', '-')}`,
    title: textOf(random, 50),
    description: textOf(random, 120),
  }
  return { $type: 'app.bsky.embed.external', external }
}

function imageOf(random: Random, image: SimBlob): object {
  const alt = random.next() < ALT_SHARE ? textOf(random, logNormal(random, ALT_TEXT)) : ''
  const aspectRatio = { width: pickOf(random, SIDES), height: pickOf(random, SIDES) }
  return { alt, image: blobReference(image), aspectRatio }
}

/** A strong reference to a record that need not be there. */
function reference({ random, nowMs, someone }: RecordContext): object {
  const micros = Math.max(0, Math.floor(nowMs - random.next() * 86_400_000)) * 1_000
  const rkey = tidOf(micros, clockId(random))
  const uri = `at://${someone()}/app.bsky.feed.post/${rkey}`
  return { uri, cid: new CidLinkWrapper(cidOf(CODEC_DAG_CBOR, utf8(uri))).$link }
}

function clockId(random: Random): number {
  return below(random, CLOCK_IDS)
}

/** Listings over all their pages, with an end whatever the service says. */
import { CallError, type CallTarget } from './call-error.ts'

/** One page of a listing. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor: string | undefined
}

export interface PageLimits {
  readonly pagesMax: number
  readonly emptyPagesMax: number
}

/** Longest cursor, in UTF-16 units: it has to go into a URL. */
const CURSOR_CHARS_MAX = 2_048

/**
 * The pages from `start` on, each asked for when the one before has been used up.
 *
 * A service that leads in circles is found out without remembering its cursors: one of them is
 * kept, and exchanged for the current one after 1, 2, 4, 8 pages and so on, so that a circle of n
 * pages is noticed within 3n (Brent's algorithm). Throws InvalidResponse then, and for a cursor
 * that is too long; TooLarge when there are more pages, or more empty ones in a row, than allowed.
 */
export async function* eachPage<T>(
  target: CallTarget,
  limits: PageLimits,
  start: string | undefined,
  fetchPage: (cursor: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<Page<T>> {
  let cursor = start
  let kept = start
  let steps = 0
  let stride = 1
  let empty = 0
  for (let count = 1; ; count++) {
    const page = await fetchPage(cursor)
    empty = page.items.length === 0 ? empty + 1 : 0
    yield page
    cursor = page.cursor
    // The reference ends some of its listings with an empty cursor.
    if (cursor === undefined || cursor === '') return
    if (cursor.length > CURSOR_CHARS_MAX) {
      throw new CallError('InvalidResponse', target, `cursor of ${cursor.length} characters`)
    }
    if (cursor === kept) {
      throw new CallError('InvalidResponse', target, `cursor came again after ${count} pages`)
    }
    if (empty >= limits.emptyPagesMax) {
      throw new CallError('TooLarge', target, `${empty} empty pages one after another`)
    }
    if (count >= limits.pagesMax) {
      throw new CallError('TooLarge', target, `over ${limits.pagesMax} pages`)
    }
    if (++steps === stride) {
      kept = cursor
      stride *= 2
      steps = 0
    }
  }
}

/** A listing: iterate it for its entries, or its pages. Each iteration asks anew. */
export class Listing<T, P extends Page<T> = Page<T>> implements AsyncIterable<T> {
  readonly #open: () => AsyncGenerator<P>

  constructor(open: () => AsyncGenerator<P>) {
    this.#open = open
  }

  /** The pages, each with the cursor that leads to the next; undefined after the last. */
  pages(): AsyncIterable<P> {
    return { [Symbol.asyncIterator]: this.#open }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const page of this.pages()) yield* page.items
  }
}

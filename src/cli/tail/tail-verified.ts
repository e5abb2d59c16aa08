/** `skein tail --verify`: what the verified consumer delivers. */

import type { ConsumerOptions, SubscriptionDelivery } from '../../client/consumer/consumer-types.ts'
import { subscribe } from '../../client/consumer/subscribe.ts'
import { systemClock } from '../../lib/clock.ts'
import type { TailRead } from './tail-command.ts'
import { deliveryLine } from './tail-event.ts'

/** Reads until the signal aborts. Heads are kept in memory: a repository is known once seen. */
export async function readVerified(read: TailRead): Promise<void> {
  const { service, file, filter, session, screen, signal } = read
  const { allowPrivateNetwork } = session.options
  await using subscription = subscribe({
    service,
    filter,
    signal,
    identities: session.identities,
    allowPrivateNetwork,
    cursor: startOf(read),
    ...(file === null ? {} : { cursorStore: file }),
    onState: ({ source }) => {
      if (source !== null) screen.state(source)
    },
    onNotice: (notice) => screen.notice(notice),
  })
  if (file !== null && file.cursorOf(service) === null) {
    screen.say(`${file.path} keeps no place of ${service} yet: beginning live`)
  }
  for await (const delivery of subscription) {
    // A commit without operations touches no collection.
    const isWanted = filter.collections === undefined || !isEmptyCommit(delivery)
    const shown =
      !isWanted ||
      (await screen.show(deliveryLine(delivery, { service, nowMs: systemClock.nowMs() })))
    // Others may be under way: the place is that of the last one before them.
    if (delivery.checkpoint !== null) screen.reached(delivery.checkpoint.seq)
    delivery.done()
    if (!shown) break
  }
  const { skipped, repairs } = subscription.stats
  const parts = [
    ...(skipped.stale > 0 ? [`${skipped.stale} seen already`] : []),
    ...(repairs.done > 0 ? [`${repairs.done} repositories mended`] : []),
  ]
  if (parts.length > 0) screen.say(parts.join(', '))
}

function isEmptyCommit(delivery: SubscriptionDelivery): boolean {
  return delivery.kind === 'commit' && delivery.ops.length === 0
}

function startOf({ start }: TailRead): NonNullable<ConsumerOptions['cursor']> {
  if (start.kind === 'seq') return start.seq
  return start.kind === 'oldest' ? 'oldest' : 'live'
}

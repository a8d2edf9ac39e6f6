import type { Conditions } from '../sync/sync-policy.ts'
import type { LeaderLink } from './leader-link.ts'
import type { PageFacts } from './tab-messages.ts'

/** What some browsers tell of the network. Source: https://wicg.github.io/netinfo/ */
interface NetworkInformation extends EventTarget {
  readonly saveData?: boolean
  readonly type?: string
}

/** What some browsers tell of the battery. Source: https://www.w3.org/TR/battery-status/ */
interface BatteryManager extends EventTarget {
  readonly level: number
  readonly charging: boolean
}

/** What only some browsers have. */
interface SavingNavigator {
  readonly connection?: NetworkInformation
  getBattery?(): Promise<BatteryManager>
}

/**
 * Follows the life of the page and the machine it is on, until the returned function is called. A frozen page must not
 * lead: nobody else could. Rules: BR-7, SY-28, BG-1. Source:
 * https://developer.chrome.com/docs/web-platform/page-lifecycle-api
 */
export function followPage(link: LeaderLink): () => void {
  const listening = new AbortController()
  const { signal } = listening
  const onHide = (event: PageTransitionEvent): void => {
    if (event.persisted) link.suspend()
  }
  const onShow = (event: PageTransitionEvent): void => {
    if (event.persisted) link.resume()
  }
  document.addEventListener('freeze', () => link.suspend(), { signal })
  document.addEventListener('resume', () => link.resume(), { signal })
  globalThis.addEventListener('pagehide', onHide, { signal })
  globalThis.addEventListener('pageshow', onShow, { signal })
  const machine = new Machine()
  const tell = (): void => link.tellPage(machine.facts())
  const onVisible = (): void => {
    tell()
    if (document.visibilityState === 'visible') link.call(['sync', 'trigger'], []).catch(() => undefined)
  }
  document.addEventListener('visibilitychange', onVisible, { signal })
  machine.follow(tell, signal)
  tell()
  return () => listening.abort()
}

/** What the browser tells of the machine; what it does not tell is left out. */
class Machine {
  // What is not there is undefined, as the type says.
  readonly #navigator = navigator as SavingNavigator
  #battery: BatteryManager | undefined

  facts(): PageFacts {
    return { isVisible: document.visibilityState === 'visible', conditions: this.#conditions() }
  }

  follow(tell: () => void, signal: AbortSignal): void {
    this.#navigator.connection?.addEventListener('change', tell, { signal })
    const onBattery = (battery: BatteryManager): void => {
      this.#battery = battery
      for (const event of ['levelchange', 'chargingchange']) battery.addEventListener(event, tell, { signal })
      tell()
    }
    this.#navigator
      .getBattery?.()
      .then(onBattery)
      .catch(() => undefined)
  }

  #conditions(): Conditions {
    const { connection } = this.#navigator
    const battery = this.#battery && { level: this.#battery.level, isCharging: this.#battery.charging }
    return {
      savesData: connection?.saveData === true,
      isMetered: connection?.type === 'cellular',
      ...(battery && { battery }),
    }
  }
}

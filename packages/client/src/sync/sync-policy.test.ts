import { describe, expect, test } from 'vitest'

import { type Conditions, savingOf, type SyncPolicy } from './sync-policy.ts'

const none = Number.NEGATIVE_INFINITY
const low = { battery: { level: 0.2, isCharging: false } }

describe('what is saved', () => {
  test.each<[what: string, Conditions, SyncPolicy, cause: string | null, leastPriority: number]>([
    ['nothing is known', {}, {}, null, none],
    ['a data saver', { savesData: true }, {}, 'dataSaver', 0],
    ['a data saver that is to change nothing', { savesData: true }, { dataSaver: null }, null, none],
    ['a data saver with a bound of its own', { savesData: true }, { dataSaver: 5 }, 'dataSaver', 5],
    ['a metered network', { isMetered: true }, {}, null, none],
    ['a metered network that counts', { isMetered: true }, { metered: -3 }, 'metered', -3],
    ['a low battery', low, {}, 'lowBattery', 0],
    ['a low battery that is charging', { battery: { level: 0.01, isCharging: true } }, {}, null, none],
    ['a battery that is not low', { battery: { level: 0.21, isCharging: false } }, {}, null, none],
    ['a battery that is low elsewhere', low, { lowBatteryLevel: 0.1 }, null, none],
    ['two causes: the stricter counts', { ...low, savesData: true }, { lowBattery: 2 }, 'lowBattery', 2],
    ['two causes alike: the first counts', { ...low, savesData: true }, {}, 'dataSaver', 0],
  ])('[SY-28] %s', (_, conditions, policy, cause, leastPriority) => {
    expect(savingOf(policy, conditions)).toEqual({ cause, leastPriority })
  })
})

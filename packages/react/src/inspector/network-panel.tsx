import { type ReactElement, useId, useSyncExternalStore } from 'react'

import type { NetworkConditions } from './network-conditions.ts'

/** How long an answer can be held up, ms. */
const latencyMaxMs = 5_000

/** Sliders for latency and loss, and a switch that takes the network away. */
export function NetworkPanel({ conditions }: { readonly conditions: NetworkConditions }): ReactElement {
  const { latencyMs, lossRate, isOffline } = useSyncExternalStore(
    conditions.subscribe,
    conditions.settings,
    conditions.settings,
  )
  return (
    <div className="holdfast-inspector__network">
      <label className="holdfast-inspector__switch">
        <input
          type="checkbox"
          checked={isOffline}
          onChange={(event) => conditions.set({ isOffline: event.target.checked })}
        />{' '}
        Offline
      </label>
      <Slider
        label="Latency"
        unit="ms"
        max={latencyMaxMs}
        step={50}
        value={latencyMs}
        onValue={(value) => conditions.set({ latencyMs: value })}
      />
      <Slider
        label="Loss"
        unit="%"
        max={100}
        step={1}
        value={Math.round(lossRate * 100)}
        onValue={(value) => conditions.set({ lossRate: value / 100 })}
      />
    </div>
  )
}

interface SliderProps {
  readonly label: string
  readonly unit: string
  readonly max: number
  readonly step: number
  readonly value: number
  readonly onValue: (value: number) => void
}

function Slider({ label, unit, max, step, value, onValue }: SliderProps): ReactElement {
  const id = useId()
  return (
    <div className="holdfast-inspector__slider">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={max}
        step={step}
        value={value}
        aria-valuetext={`${value} ${unit}`}
        onChange={(event) => onValue(Number(event.target.value))}
      />
      <output htmlFor={id}>{`${value} ${unit}`}</output>
    </div>
  )
}

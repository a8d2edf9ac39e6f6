import {
  Badge,
  Button,
  type ButtonProps,
  createTheme,
  type CSSVariablesResolver,
  Menu,
  Paper,
} from '@mantine/core'

/** The look of Stockroom. */
export const theme = createTheme({
  primaryColor: 'cyan',
  primaryShade: { light: 9, dark: 6 },
  autoContrast: true,
  defaultRadius: 'md',
  fontFamily:
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  headings: { fontWeight: '650' },
  components: {
    Badge: Badge.extend({ defaultProps: { variant: 'light', radius: 'sm' } }),
    Button: Button.extend({ defaultProps: { fw: 550 }, vars: (_, props) => ({ root: textOfButton(props) }) }),
    // Its placeholder is nothing that a menu may hold.
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
    Paper: Paper.extend({ defaultProps: { withBorder: true, radius: 'md' } }),
  },
})

/** Text that can be read on a filled button in either scheme: what Mantine chooses by itself is for the light one. */
function textOfButton({ variant, color }: ButtonProps): { '--button-color'?: string } {
  if (variant !== undefined) return {}
  // Buttons are filled with the ninth shade in the light and with the sixth in the dark.
  const onColor = 'light-dark(var(--mantine-color-white), var(--mantine-color-black))'
  return { '--button-color': color === undefined ? 'var(--mantine-primary-color-contrast)' : onColor }
}

/** Colors of small text with the contrast that WCAG 2.2 wants at level AA, 4.5 to 1. */
export const readableColors: CSSVariablesResolver = ({ colors }) => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': 'var(--mantine-color-gray-7)',
    ...Object.fromEntries(
      Object.keys(colors).map((name) => [
        `--mantine-color-${name}-light-color`,
        `color-mix(in srgb, var(--mantine-color-${name}-9), black 25%)`,
      ]),
    ),
  },
  dark: { '--mantine-color-dimmed': 'var(--mantine-color-dark-1)' },
})

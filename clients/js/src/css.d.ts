/** esbuild gives a stylesheet as a text. */
declare module "*.css" {
  const styles: string;
  export default styles;
}

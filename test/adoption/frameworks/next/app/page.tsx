export default function Page(): string {
  return "mine";
}

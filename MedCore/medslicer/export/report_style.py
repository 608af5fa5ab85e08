"""The style of a report, on screen and on paper."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #1c2330; font: 15px/1.5 system-ui, "Segoe UI", Helvetica, sans-serif; }
main { max-width: 60rem; margin: 2rem auto; padding: 2.2rem 2.6rem 2.8rem; background: #fff; border-radius: 8px; }
h1 { margin: 0 0 1rem; font-size: 1.55rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .6rem; font-size: 1.12rem; }
.warning { margin: 0 0 1.2rem; padding: .7rem 1rem; background: #fff4e0; border-left: 4px solid #d9822b; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: #5c6675; }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.2rem; }
table { width: 100%; border-collapse: collapse; }
table.narrow { width: auto; min-width: 18rem; }
th { padding: .35rem .6rem; text-align: left; font-weight: 600; color: #5c6675; border-bottom: 2px solid #d8dce3; }
td { padding: .35rem .6rem; border-bottom: 1px solid #e8ebf0; vertical-align: top; }
td.review { white-space: nowrap; }
td.number, td.place { font-variant-numeric: tabular-nums; white-space: pre; }
tr.off td { color: #8a93a1; }
td.accepted b { color: #1d7a46; }
td.rejected b { color: #b3372f; }
.small { color: #5c6675; font-size: .85rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.1rem; }
figure { margin: 0; width: 196px; break-inside: avoid; }
figcaption { margin-top: .3rem; font-size: .87rem; line-height: 1.35; }
.shot { position: relative; line-height: 0; }
.shot img { width: 100%; height: auto; border-radius: 4px; background: #000; }
.shot b { position: absolute; padding: 2px 3px; border-radius: 3px; background: rgba(0, 0, 0, .45); color: #fff; }
.shot b { font-size: .7rem; line-height: 1; font-weight: 500; }
.shot .r { left: 4px; top: 46%; }
.shot .l { right: 4px; top: 46%; }
.shot .a { top: 4px; left: 47%; }
.shot .p { bottom: 4px; left: 47%; }
.shot .bar { bottom: 7.5%; right: 3%; }
@media print {
  :root { font-size: 11px; }
  body { background: #fff; font-size: 10.5px; }
  main { margin: 0; padding: 0; max-width: none; }
  th, td { padding: .25rem .35rem; }
  tr, dl { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
